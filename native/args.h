// What a call gets from JavaScript and gives back: numbers are doubles (exact to 2^53), buffers are
// typed arrays, paths are strings or bytes. Nothing here throws: what does not fit becomes -errno.
#pragma once

#include <errno.h>
#include <limits.h>
#include <node_api.h>
#include <stdint.h>
#include <string.h>

namespace byref {

// JS buffer contents, valid until the call returns (or as long as a reference is held).
struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

// A NUL-terminated path; `error` is 0, or the -errno that says why it could not be taken.
struct Path {
  char text[PATH_MAX];
  int error = 0;
};

class Args {
 public:
  static constexpr size_t kMax = 7;

  Args(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMax;
    napi_get_cb_info(env, info, &count, values_, nullptr, nullptr);
  }

  napi_value value(size_t i) const { return values_[i]; }

  int32_t i32(size_t i) const {
    int32_t n = -1;
    napi_get_value_int32(env_, values_[i], &n);
    return n;
  }

  int64_t i64(size_t i) const {
    int64_t n = -1;
    napi_get_value_int64(env_, values_[i], &n);
    return n;
  }

  bool flag(size_t i) const {
    bool b = false;
    napi_get_value_bool(env_, values_[i], &b);
    return b;
  }

  Bytes bytes(size_t i) const {
    Bytes b;
    void* data = nullptr;
    if (napi_get_typedarray_info(env_, values_[i], nullptr, &b.length, &data, nullptr, nullptr) ==
        napi_ok) {
      b.data = static_cast<uint8_t*>(data);
    }
    return b;
  }

  // A Float64Array of at least `slots`, or null.
  double* doubles(size_t i, size_t slots) const {
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    if (napi_get_typedarray_info(env_, values_[i], &type, &length, &data, nullptr, nullptr) !=
            napi_ok ||
        type != napi_float64_array || length < slots) {
      return nullptr;
    }
    return static_cast<double*>(data);
  }

  // The part [at, at + length) of a buffer, or null if it is not all inside.
  uint8_t* slice(size_t i, int64_t at, int64_t length) const {
    const Bytes b = bytes(i);
    const int64_t size = static_cast<int64_t>(b.length);
    if (b.data == nullptr || at < 0 || length < 0 || at > size || length > size - at) return nullptr;
    return b.data + at;
  }

  void path(size_t i, Path* out) const {
    size_t length = 0;
    if (napi_get_value_string_utf8(env_, values_[i], out->text, PATH_MAX, &length) == napi_ok) {
      // A text cut to fit fills the buffer (less up to 3 bytes of a split character).
      out->error = length >= PATH_MAX - 4 ? -ENAMETOOLONG : 0;
    } else {
      const Bytes b = bytes(i);
      length = b.length;
      if (b.data == nullptr) {
        out->error = -EFAULT;
      } else if (length >= PATH_MAX) {
        out->error = -ENAMETOOLONG;
      } else {
        memcpy(out->text, b.data, length);
        out->text[length] = '\0';
      }
    }
    if (out->error == 0 && memchr(out->text, 0, length) != nullptr) out->error = -EINVAL;
  }

 private:
  napi_env env_;
  napi_value values_[kMax];
};

inline napi_value Number(napi_env env, int64_t n) {
  napi_value v;
  if (n >= INT32_MIN && n <= INT32_MAX) {
    napi_create_int32(env, static_cast<int32_t>(n), &v);
  } else {
    napi_create_double(env, static_cast<double>(n), &v);
  }
  return v;
}

// The result of a system call that returns -1 and sets errno.
inline int64_t OrErrno(int64_t result) { return result < 0 ? -errno : result; }

inline void Export(napi_env env, napi_value exports, const char* name, napi_callback call) {
  napi_value f;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &f);
  napi_set_named_property(env, exports, name, f);
}

}  // namespace byref
