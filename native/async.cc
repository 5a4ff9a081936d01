// Calls that may wait: they run on libuv's thread pool, and their promise resolves to >= 0 or -errno.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"
#include "file_ops.h"

namespace byref {
namespace {

// One call under way. `buffer` keeps the JS memory at `data` alive until it is done.
struct Job {
  int64_t (*run)(const Job&);
  int64_t n[5];
  uint8_t* data;
  int64_t result;
  napi_async_work work;
  napi_deferred promise;
  napi_ref buffer;
};

void Execute(napi_env, void* data) {
  Job* job = static_cast<Job*>(data);
  job->result = job->run(*job);
}

void Complete(napi_env env, napi_status, void* data) {
  Job* job = static_cast<Job*>(data);
  napi_resolve_deferred(env, job->promise, Number(env, job->result));
  if (job->buffer != nullptr) napi_delete_reference(env, job->buffer);
  napi_delete_async_work(env, job->work);
  delete job;
}

napi_value Start(napi_env env, Job* job, napi_value buffer) {
  napi_value promise, name;
  napi_create_promise(env, &job->promise, &promise);
  if (buffer != nullptr) napi_create_reference(env, buffer, 1, &job->buffer);
  napi_create_string_utf8(env, "byref", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, nullptr, name, Execute, Complete, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

int64_t Refused(const Job&) { return -EFAULT; }

// Arguments that are all numbers, or a boolean last.
napi_value Numbers(napi_env env, napi_callback_info info, int count, int64_t (*run)(const Job&)) {
  const Args a(env, info);
  Job* job = new Job();
  job->run = run;
  for (int i = 0; i < count; i++) job->n[i] = a.i64(i);
  return Start(env, job, nullptr);
}

napi_value PreadAsync(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Job* job = new Job();
  job->n[0] = a.i32(0);
  job->n[1] = a.i64(3);
  job->n[2] = a.i64(4);
  job->data = a.slice(1, a.i64(2), job->n[1]);
  job->run = [](const Job& j) { return ReadAll(j.n[0], j.data, j.n[1], j.n[2]); };
  if (job->data == nullptr) job->run = Refused;
  return Start(env, job, a.value(1));
}

napi_value WriteDeviceAsync(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Job* job = new Job();
  job->n[0] = a.i32(0);
  job->n[1] = a.i64(2);
  job->data = a.slice(1, 0, job->n[1]);
  job->run = [](const Job& j) { return WriteOnce(j.n[0], j.data, j.n[1]); };
  if (job->data == nullptr) job->run = Refused;
  return Start(env, job, a.value(1));
}

napi_value WriteBatchesAsync(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Job* job = new Job();
  job->n[0] = a.i64(1);
  job->data = a.slice(0, 0, job->n[0]);
  job->run = [](const Job& j) { return WriteBatches(j.data, j.n[0]); };
  if (job->data == nullptr) job->run = Refused;
  return Start(env, job, a.value(0));
}

napi_value FallocateAsync(napi_env env, napi_callback_info info) {
  return Numbers(env, info, 4,
                 [](const Job& j) { return Allocate(j.n[0], j.n[1], j.n[2], j.n[3]); });
}

napi_value CopyRangeAsync(napi_env env, napi_callback_info info) {
  return Numbers(env, info, 5, [](const Job& j) {
    return CopyRange(j.n[0], j.n[1], j.n[2], j.n[3], j.n[4]);
  });
}

napi_value FsyncAsync(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Job* job = new Job();
  job->n[0] = a.i32(0);
  job->n[1] = a.flag(1);
  job->run = [](const Job& j) { return Sync(j.n[0], j.n[1] != 0); };
  return Start(env, job, nullptr);
}

// Takes the descriptor over: to close the last one of a file that was removed waits for its write-back.
napi_value WriteOutAsync(napi_env env, napi_callback_info info) {
  return Numbers(env, info, 1, [](const Job& j) {
    const int64_t result = OrErrno(sync_file_range(j.n[0], 0, 0, SYNC_FILE_RANGE_WRITE));
    close(j.n[0]);
    return result;
  });
}

napi_value SyncfsAsync(napi_env env, napi_callback_info info) {
  return Numbers(env, info, 1, [](const Job& j) { return OrErrno(syncfs(j.n[0])); });
}

// Reconfigures a mounted file system without changing anything, at which the kernel forgets all of its names and inodes
// that are not in use.
int64_t Reconfigure(const char* mountpoint) {
  const int context = syscall(SYS_fspick, AT_FDCWD, mountpoint,
                              FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT);
  if (context < 0) return -errno;
  const int64_t result =
      OrErrno(syscall(SYS_fsconfig, context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0));
  close(context);
  return result;
}

napi_value ReconfigureAsync(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const int64_t length = a.i64(1);
  Job* job = new Job();
  job->data = a.slice(0, 0, length);
  job->run = [](const Job& j) { return Reconfigure(reinterpret_cast<const char*>(j.data)); };
  if (job->data == nullptr || length == 0 || job->data[length - 1] != 0) job->run = Refused;
  return Start(env, job, a.value(0));
}

}  // namespace

void ExportAsync(napi_env env, napi_value exports) {
  Export(env, exports, "preadAsync", PreadAsync);
  Export(env, exports, "writeDeviceAsync", WriteDeviceAsync);
  Export(env, exports, "writeBatchesAsync", WriteBatchesAsync);
  Export(env, exports, "fallocateAsync", FallocateAsync);
  Export(env, exports, "copyRangeAsync", CopyRangeAsync);
  Export(env, exports, "fsyncAsync", FsyncAsync);
  Export(env, exports, "syncfsAsync", SyncfsAsync);
  Export(env, exports, "writeOutAsync", WriteOutAsync);
  Export(env, exports, "reconfigureAsync", ReconfigureAsync);
}

}  // namespace byref
