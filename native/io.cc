// Data of open files, on the calling thread. Nothing here moves a file position but lseek.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"
#include "file_ops.h"

namespace byref {

int64_t ReadAll(int fd, uint8_t* to, int64_t length, int64_t offset) {
  int64_t done = 0;
  while (done < length) {
    const ssize_t n = pread(fd, to + done, length - done, offset + done);
    if (n == 0) break;
    if (n > 0) {
      done += n;
    } else if (errno != EINTR) {
      return done > 0 ? done : -errno;
    }
  }
  return done;
}

int64_t WriteAll(int fd, const uint8_t* from, int64_t length, int64_t offset) {
  int64_t done = 0;
  while (done < length) {
    const ssize_t n = pwrite(fd, from + done, length - done, offset + done);
    if (n > 0) {
      done += n;
    } else if (n == 0 || errno != EINTR) {
      return done > 0 || n == 0 ? done : -errno;
    }
  }
  return done;
}

int64_t CopyRange(int in, int64_t off_in, int out, int64_t off_out, int64_t length) {
  loff_t from = off_in, to = off_out;
  return OrErrno(copy_file_range(in, &from, out, &to, length, 0));
}

int64_t Allocate(int fd, int mode, int64_t offset, int64_t length) {
  return OrErrno(fallocate(fd, mode, offset, length));
}

int64_t Sync(int fd, bool data_only) { return OrErrno(data_only ? fdatasync(fd) : fsync(fd)); }

int64_t WriteOnce(int fd, const uint8_t* from, int64_t length) {
  return OrErrno(write(fd, from, length));
}

namespace {

uint32_t U32(const uint8_t* at) {
  uint32_t n;
  memcpy(&n, at, sizeof(n));
  return n;
}

// A whole message at `at`, or 0 if there is none.
int64_t MessageLength(const uint8_t* at, int64_t left) {
  if (left < static_cast<int64_t>(sizeof(uint32_t))) return 0;
  const int64_t length = U32(at);
  return length < static_cast<int64_t>(sizeof(uint32_t)) || length > left ? 0 : length;
}

int64_t WriteMessages(int fd, const uint8_t* from, int64_t length) {
  int64_t taken = 0;
  for (int64_t at = 0, size; (size = MessageLength(from + at, length - at)) > 0; at += size) {
    ssize_t n;
    do {
      n = write(fd, from + at, size);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) taken++;
    if (n < 0 && errno == ENODEV) break;
  }
  return taken;
}

constexpr int64_t kBatchHeader = sizeof(int32_t) + sizeof(uint32_t);

}  // namespace

int64_t WriteBatches(const uint8_t* from, int64_t length) {
  int64_t taken = 0;
  for (int64_t at = 0; length - at >= kBatchHeader;) {
    const int fd = static_cast<int32_t>(U32(from + at));
    const int64_t size = U32(from + at + sizeof(int32_t));
    at += kBatchHeader;
    if (size > length - at) return -EINVAL;
    taken += WriteMessages(fd, from + at, size);
    at += size;
  }
  return taken;
}

namespace {

// The cached part of a range may end before the range does; what is short must be told from the end of
// the file, so a second call asks what follows: 0 is the end, EAGAIN a page that is not in memory.
int64_t ReadCached(int fd, uint8_t* to, int64_t length, int64_t offset) {
  int64_t done = 0;
  while (done < length) {
    const struct iovec part = {to + done, static_cast<size_t>(length - done)};
    const ssize_t n = preadv2(fd, &part, 1, offset + done, RWF_NOWAIT);
    if (n == 0) break;
    if (n < 0) return errno == EOPNOTSUPP || errno == EINTR ? -EAGAIN : -errno;
    done += n;
  }
  return done;
}

template <typename Call>
napi_value WithBuffer(napi_env env, napi_callback_info info, Call call) {
  const Args a(env, info);
  const int64_t length = a.i64(3);
  uint8_t* part = a.slice(1, a.i64(2), length);
  return Number(env, part == nullptr ? -EFAULT : call(a.i32(0), part, length, a.i64(4)));
}

napi_value PreadNowait(napi_env env, napi_callback_info info) {
  return WithBuffer(env, info, ReadCached);
}

napi_value Pread(napi_env env, napi_callback_info info) { return WithBuffer(env, info, ReadAll); }

napi_value Pwrite(napi_env env, napi_callback_info info) { return WithBuffer(env, info, WriteAll); }

napi_value Ftruncate(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, OrErrno(ftruncate(a.i32(0), a.i64(1))));
}

napi_value Fallocate(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, Allocate(a.i32(0), a.i32(1), a.i64(2), a.i64(3)));
}

napi_value Lseek(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, OrErrno(lseek(a.i32(0), a.i64(1), a.i32(2))));
}

napi_value CopyRangeNow(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, CopyRange(a.i32(0), a.i64(1), a.i32(2), a.i64(3), a.i64(4)));
}

napi_value Clone(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, OrErrno(ioctl(a.i32(0), FICLONE, a.i32(1))));
}

napi_value Fsync(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, Sync(a.i32(0), a.flag(1)));
}

}  // namespace

void ExportIo(napi_env env, napi_value exports) {
  Export(env, exports, "preadNowait", PreadNowait);
  Export(env, exports, "pread", Pread);
  Export(env, exports, "pwrite", Pwrite);
  Export(env, exports, "ftruncate", Ftruncate);
  Export(env, exports, "fallocate", Fallocate);
  Export(env, exports, "lseek", Lseek);
  Export(env, exports, "copyRange", CopyRangeNow);
  Export(env, exports, "clone", Clone);
  Export(env, exports, "fsync", Fsync);
}

}  // namespace byref
