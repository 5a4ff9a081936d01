// Attributes and clocks. The slots of the output arrays are listed in src/native/binding.ts.
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

constexpr size_t kStatSlots = 17;
constexpr size_t kStatfsSlots = 10;

void PutStat(const struct statx& s, double* out) {
  out[0] = s.stx_mode;
  out[1] = static_cast<double>(s.stx_ino);
  out[2] = static_cast<double>(makedev(s.stx_dev_major, s.stx_dev_minor));
  out[3] = s.stx_nlink;
  out[4] = s.stx_uid;
  out[5] = s.stx_gid;
  out[6] = static_cast<double>(makedev(s.stx_rdev_major, s.stx_rdev_minor));
  out[7] = static_cast<double>(s.stx_size);
  out[8] = static_cast<double>(s.stx_blocks);
  const statx_timestamp* times[] = {&s.stx_atime, &s.stx_mtime, &s.stx_ctime, &s.stx_btime};
  for (int i = 0; i < 4; i++) {
    out[9 + 2 * i] = static_cast<double>(times[i]->tv_sec);
    out[10 + 2 * i] = times[i]->tv_nsec;
  }
  if ((s.stx_mask & STATX_BTIME) == 0) out[15] = -1;
}

int64_t Stat(int dirfd, const char* path, int flags, double* out) {
  if (out == nullptr) return -EFAULT;
  struct statx s;
  if (statx(dirfd, path, flags, STATX_BASIC_STATS | STATX_BTIME, &s) < 0) return -errno;
  PutStat(s, out);
  return 0;
}

napi_value StatAt(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path path;
  a.path(1, &path);
  if (path.error != 0) return Number(env, path.error);
  return Number(env, Stat(a.i32(0), path.text, a.i32(3), a.doubles(2, kStatSlots)));
}

napi_value StatFd(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  return Number(env, Stat(a.i32(0), "", AT_EMPTY_PATH, a.doubles(1, kStatSlots)));
}

napi_value StatfsFd(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  double* out = a.doubles(1, kStatfsSlots);
  if (out == nullptr) return Number(env, -EFAULT);
  struct statfs s;
  if (fstatfs(a.i32(0), &s) < 0) return Number(env, -errno);
  out[0] = static_cast<double>(s.f_bsize);
  out[1] = static_cast<double>(s.f_blocks);
  out[2] = static_cast<double>(s.f_bfree);
  out[3] = static_cast<double>(s.f_bavail);
  out[4] = static_cast<double>(s.f_files);
  out[5] = static_cast<double>(s.f_ffree);
  out[6] = static_cast<double>(s.f_type);
  out[7] = static_cast<double>(s.f_namelen);
  uint32_t fsid[2];
  static_assert(sizeof fsid == sizeof s.f_fsid);
  memcpy(fsid, &s.f_fsid, sizeof fsid);
  out[8] = fsid[0];
  out[9] = fsid[1];
  return Number(env, 0);
}

napi_value Futimens(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  struct timespec times[2];
  for (int i = 0; i < 2; i++) {
    times[i].tv_sec = a.i64(1 + 2 * i);
    times[i].tv_nsec = a.i64(2 + 2 * i);
  }
  return Number(env, OrErrno(futimens(a.i32(0), times)));
}

napi_value Clock(napi_env env, napi_callback_info info) {
  double* out = Args(env, info).doubles(0, 2);
  if (out == nullptr) return Number(env, -EFAULT);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  out[0] = static_cast<double>(now.tv_sec);
  out[1] = static_cast<double>(now.tv_nsec);
  return Number(env, 0);
}

}  // namespace

void ExportStat(napi_env env, napi_value exports) {
  Export(env, exports, "statAt", StatAt);
  Export(env, exports, "statFd", StatFd);
  Export(env, exports, "statfsFd", StatfsFd);
  Export(env, exports, "futimens", Futimens);
  Export(env, exports, "clock", Clock);
}

}  // namespace byref
