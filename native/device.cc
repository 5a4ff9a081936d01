// /dev/fuse, but for the reading loop: backing files of passthrough, and single writes.
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"
#include "file_ops.h"

#include <vector>

namespace byref {
namespace {

// As in <linux/fuse.h> since protocol 7.40; Debian 12's header is older.
struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
#define BYREF_BACKING_OPEN _IOW(229, 1, BackingMap)
#define BYREF_BACKING_CLOSE _IOW(229, 2, uint32_t)

napi_value BackingOpen(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const BackingMap map = {a.i32(1), 0, 0};
  return Number(env, OrErrno(ioctl(a.i32(0), BYREF_BACKING_OPEN, &map)));
}

napi_value BackingClose(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const uint32_t id = a.i32(1);
  return Number(env, OrErrno(ioctl(a.i32(0), BYREF_BACKING_CLOSE, &id)));
}

// (fds: Int32Array): the index of the first on which a request waits; -1 if there is none.
napi_value FirstWaiting(napi_env env, napi_callback_info info) {
  const Bytes fds = Args(env, info).bytes(0);
  std::vector<pollfd> wait(fds.length);
  for (size_t i = 0; i < wait.size(); ++i) wait[i] = {reinterpret_cast<const int32_t*>(fds.data)[i], POLLIN, 0};
  if (poll(wait.data(), wait.size(), 0) > 0)
    for (size_t i = 0; i < wait.size(); ++i)
      if (wait[i].revents != 0) return Number(env, i);
  return Number(env, -1);
}

napi_value WriteDevice(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const int64_t length = a.i64(2);
  const uint8_t* message = a.slice(1, 0, length);
  return Number(env, message == nullptr ? -EFAULT : WriteOnce(a.i32(0), message, length));
}

}  // namespace

void ExportDevice(napi_env env, napi_value exports) {
  Export(env, exports, "backingOpen", BackingOpen);
  Export(env, exports, "backingClose", BackingClose);
  Export(env, exports, "firstWaiting", FirstWaiting);
  Export(env, exports, "writeDevice", WriteDevice);
}

}  // namespace byref
