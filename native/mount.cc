// Mounts, and descriptors of other processes.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

napi_value Mount(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path source, target, type, data;
  const size_t at[] = {0, 1, 2, 4};
  Path* const into[] = {&source, &target, &type, &data};
  for (int i = 0; i < 4; i++) {
    a.path(at[i], into[i]);
    if (into[i]->error != 0) return Number(env, into[i]->error);
  }
  return Number(env, OrErrno(mount(source.text, target.text, type.text, a.i64(3), data.text)));
}

napi_value Umount(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path target;
  a.path(0, &target);
  if (target.error != 0) return Number(env, target.error);
  return Number(env, OrErrno(umount2(target.text, a.i32(1))));
}

int64_t MapAndAttach(int tree, const char* target, int userns) {
  struct mount_attr attr = {};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = userns;
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) return -errno;
  return OrErrno(syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
}

napi_value IdmapMount(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path path, target;
  a.path(0, &path);
  if (path.error != 0) return Number(env, path.error);
  a.path(1, &target);
  if (target.error != 0) return Number(env, target.error);
  const int tree =
      syscall(SYS_open_tree, AT_FDCWD, path.text, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return Number(env, -errno);
  const int64_t result = MapAndAttach(tree, target.text, a.i32(2));
  close(tree);
  return Number(env, result);
}

// (dirfd): a descriptor of a mount of its own, of the same directory, that no path leads to; or -errno.
napi_value CloneMount(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  const int tree = syscall(SYS_open_tree, a.i32(0), "", flags);
  if (tree < 0) return Number(env, -errno);
  struct mount_attr attr = {};
  attr.propagation = MS_PRIVATE;
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0) {
    return Number(env, tree);
  }
  const int error = -errno;
  close(tree);
  return Number(env, error);
}

// (mount, MOUNT_ATTR_RELATIME, _NOATIME or _STRICTATIME): 0 or -errno.
napi_value SetAccessTimes(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  struct mount_attr attr = {};
  attr.attr_clr = MOUNT_ATTR__ATIME;
  attr.attr_set = a.i64(1);
  return Number(
      env, OrErrno(syscall(SYS_mount_setattr, a.i32(0), "", AT_EMPTY_PATH, &attr, sizeof attr)));
}

napi_value TakeFd(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const int process = syscall(SYS_pidfd_open, a.i32(0), 0);
  if (process < 0) return Number(env, -errno);
  const int64_t taken = OrErrno(syscall(SYS_pidfd_getfd, process, a.i32(1), 0));
  close(process);
  return Number(env, taken);
}

}  // namespace

void ExportMount(napi_env env, napi_value exports) {
  Export(env, exports, "mount", Mount);
  Export(env, exports, "umount", Umount);
  Export(env, exports, "idmapMount", IdmapMount);
  Export(env, exports, "cloneMount", CloneMount);
  Export(env, exports, "setAccessTimes", SetAccessTimes);
  Export(env, exports, "takeFd", TakeFd);
}

}  // namespace byref
