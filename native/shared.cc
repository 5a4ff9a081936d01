// Memory that is a file's, so that it is there when the process that filled it is not any more.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

void Unmap(napi_env, void* data, void* length) { munmap(data, reinterpret_cast<size_t>(length)); }

// (fd, offset, length): the file gets room for all of it first, because a store to a page for which there is none ends
// the process.
napi_value MapFile(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const int fd = a.i32(0);
  const int64_t offset = a.i64(1), length = a.i64(2);
  if (offset < 0 || length <= 0) return Number(env, -EINVAL);
  const int error = posix_fallocate(fd, offset, length);
  if (error != 0) return Number(env, -error);
  void* data = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  if (data == MAP_FAILED) return Number(env, -errno);
  napi_value buffer;
  if (napi_create_external_arraybuffer(env, data, length, Unmap, reinterpret_cast<void*>(length), &buffer) == napi_ok)
    return buffer;
  munmap(data, length);
  return Number(env, -ENOMEM);
}

}  // namespace

void ExportShared(napi_env env, napi_value exports) { Export(env, exports, "mapFile", MapFile); }

}  // namespace byref
