// What of a file has blocks on the disk.
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

constexpr int kExtents = 64;

int64_t RoundUp(int64_t n, int64_t block) { return (n + block - 1) / block * block; }

// How far into [offset, offset + length) a write gets before it has allocated more than `room` bytes: what has no extent is
// allocated in whole blocks. An extent counts whether it was written, is only reserved (fallocate), or waits for its place on
// the disk (delayed allocation). A file system that can't list extents is taken to have none here.
int64_t Fitting(int fd, int64_t offset, int64_t length, int64_t room, int64_t block) {
  const int64_t end = RoundUp(offset + length, block);
  int64_t at = offset / block * block;
  int64_t left = std::max<int64_t>(room, 0) / block * block;
  bool more = true;
  while (at < end) {
    alignas(struct fiemap) char buffer[sizeof(struct fiemap) + kExtents * sizeof(struct fiemap_extent)];
    struct fiemap* map = reinterpret_cast<struct fiemap*>(buffer);
    *map = {};
    map->fm_start = at;
    map->fm_length = end - at;
    map->fm_extent_count = kExtents;
    const bool listed = more && ioctl(fd, FS_IOC_FIEMAP, map) == 0;
    const int count = listed ? map->fm_mapped_extents : 0;
    for (int i = 0; i < count; i++) {
      const struct fiemap_extent& extent = map->fm_extents[i];
      const int64_t begin = std::min<int64_t>(extent.fe_logical, end);
      const int64_t hole = std::max<int64_t>(begin - at, 0);
      if (hole > left) return std::clamp<int64_t>(at + left - offset, 0, length);
      left -= hole;
      at = std::max<int64_t>(at, RoundUp(extent.fe_logical + extent.fe_length, block));
      if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) more = false;
    }
    if (count == kExtents && more) continue;
    // The rest has none.
    return std::clamp<int64_t>(at >= end ? length : at + left - offset, 0, length);
  }
  return length;
}

napi_value FittingCall(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  if (a.i64(4) <= 0) return Number(env, -EINVAL);
  return Number(env, Fitting(a.i32(0), a.i64(1), a.i64(2), a.i64(3), a.i64(4)));
}

}  // namespace

void ExportExtents(napi_env env, napi_value exports) {
  Export(env, exports, "fitting", FittingCall);
}

}  // namespace byref
