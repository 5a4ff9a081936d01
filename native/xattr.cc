// Extended attributes of a path itself: a Buffer, or -errno as a number; setting and removing return 0 or -errno.
#include <sys/xattr.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

// XATTR_SIZE_MAX and XATTR_LIST_MAX: no value and no list is longer.
constexpr size_t kLongest = 65536;

napi_value BufferOrErrno(napi_env env, const uint8_t* data, ssize_t length) {
  if (length < 0) return Number(env, -errno);
  napi_value buffer;
  napi_create_buffer_copy(env, length, data, nullptr, &buffer);
  return buffer;
}

napi_value ListXattr(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path path;
  a.path(0, &path);
  if (path.error != 0) return Number(env, path.error);
  uint8_t list[kLongest];
  const ssize_t n = llistxattr(path.text, reinterpret_cast<char*>(list), sizeof list);
  return BufferOrErrno(env, list, n);
}

// The calls that take (path, name, ...): what `call` returns of them, or -errno if they are none.
template <typename Call>
napi_value OfPath(napi_env env, napi_callback_info info, Call call) {
  const Args a(env, info);
  Path path, name;
  a.path(0, &path);
  if (path.error != 0) return Number(env, path.error);
  a.path(1, &name);
  if (name.error != 0) return Number(env, name.error);
  return call(a, path.text, name.text);
}

napi_value GetXattr(napi_env env, napi_callback_info info) {
  return OfPath(env, info, [env](const Args&, const char* path, const char* name) {
    uint8_t value[kLongest];
    return BufferOrErrno(env, value, lgetxattr(path, name, value, sizeof value));
  });
}

// (path, name, buffer, length): the value is the buffer's first `length` bytes.
napi_value SetXattr(napi_env env, napi_callback_info info) {
  return OfPath(env, info, [env](const Args& a, const char* path, const char* name) {
    const int64_t length = a.i64(3);
    const uint8_t* value = a.slice(2, 0, length);
    if (value == nullptr) return Number(env, -EFAULT);
    return Number(env, OrErrno(lsetxattr(path, name, value, length, 0)));
  });
}

// (fd, name, buffer, length): as SetXattr, of an open file.
napi_value SetXattrFd(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  Path name;
  a.path(1, &name);
  if (name.error != 0) return Number(env, name.error);
  const int64_t length = a.i64(3);
  const uint8_t* value = a.slice(2, 0, length);
  if (value == nullptr) return Number(env, -EFAULT);
  return Number(env, OrErrno(fsetxattr(a.i32(0), name.text, value, length, 0)));
}

napi_value RemoveXattr(napi_env env, napi_callback_info info) {
  return OfPath(env, info, [env](const Args&, const char* path, const char* name) {
    return Number(env, OrErrno(lremovexattr(path, name)));
  });
}

}  // namespace

void ExportXattr(napi_env env, napi_value exports) {
  Export(env, exports, "listXattr", ListXattr);
  Export(env, exports, "getXattr", GetXattr);
  Export(env, exports, "setXattr", SetXattr);
  Export(env, exports, "setXattrFd", SetXattrFd);
  Export(env, exports, "removeXattr", RemoveXattr);
}

}  // namespace byref
