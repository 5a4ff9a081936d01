// Names: open, close, unlink, rename, link, mkdir, all relative to a directory descriptor.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

napi_value OpenAt(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path path;
  a.path(1, &path);
  if (path.error != 0) return Number(env, path.error);
  return Number(env, OrErrno(openat(a.i32(0), path.text, a.i32(2) | O_CLOEXEC, a.i32(3))));
}

napi_value Close(napi_env env, napi_callback_info info) {
  return Number(env, OrErrno(close(Args(env, info).i32(0))));
}

napi_value UnlinkAt(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path path;
  a.path(1, &path);
  if (path.error != 0) return Number(env, path.error);
  return Number(env, OrErrno(unlinkat(a.i32(0), path.text, a.i32(2))));
}

// The two calls that take two names: (fromDir, from, toDir, to, flags).
template <typename Call>
napi_value TwoPaths(napi_env env, napi_callback_info info, Call call) {
  const Args a(env, info);
  Path from, to;
  a.path(1, &from);
  if (from.error != 0) return Number(env, from.error);
  a.path(3, &to);
  if (to.error != 0) return Number(env, to.error);
  return Number(env, OrErrno(call(a.i32(0), from.text, a.i32(2), to.text, a.i32(4))));
}

napi_value RenameAt(napi_env env, napi_callback_info info) {
  return TwoPaths(env, info, renameat2);
}

napi_value LinkAt(napi_env env, napi_callback_info info) { return TwoPaths(env, info, linkat); }

napi_value MkdirAt(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path path;
  a.path(1, &path);
  if (path.error != 0) return Number(env, path.error);
  return Number(env, OrErrno(mkdirat(a.i32(0), path.text, a.i32(2))));
}

napi_value Flock(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, OrErrno(flock(a.i32(0), a.i32(1))));
}

// fcntl(2), F_OFD_SETLKW: a lock for reading on the first byte, which belongs to the open file and not to the process.
napi_value LockFirstByte(napi_env env, napi_callback_info info) {
  struct flock lock = {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return Number(env, OrErrno(fcntl(Args(env, info).i32(0), F_OFD_SETLKW, &lock)));
}

// A write lease is only given while no other open file of the inode exists, in any process or in the kernel; a mapping
// holds one, also when its descriptor is closed. It is let go of at once. Who opens the file in between waits for that,
// and the kernel sends this process a signal, which is one that does nothing where nobody handles it.
napi_value IsUnused(napi_env env, napi_callback_info info) {
  const int fd = Args(env, info).i32(0);
  if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
    return Number(env, -errno);
  }
  return Number(env, OrErrno(fcntl(fd, F_SETLEASE, F_UNLCK)));
}

}  // namespace

void ExportFiles(napi_env env, napi_value exports) {
  Export(env, exports, "openAt", OpenAt);
  Export(env, exports, "close", Close);
  Export(env, exports, "unlinkAt", UnlinkAt);
  Export(env, exports, "renameAt", RenameAt);
  Export(env, exports, "linkAt", LinkAt);
  Export(env, exports, "mkdirAt", MkdirAt);
  Export(env, exports, "flock", Flock);
  Export(env, exports, "lockFirstByte", LockFirstByte);
  Export(env, exports, "isUnused", IsUnused);
}

}  // namespace byref
