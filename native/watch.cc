// Changes of the mount table: the kernel marks /proc/self/mountinfo readable with priority at each of them.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

struct Watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  int fd;
};

void OnChange(uv_poll_t* poll, int, int) {
  const Watch* watch = static_cast<Watch*>(poll->data);
  const napi_env env = watch->env;
  napi_handle_scope handles;
  napi_open_handle_scope(env, &handles);
  napi_value callback, self;
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &self);
  napi_make_callback(env, watch->context, self, callback, 0, nullptr, nullptr);
  napi_close_handle_scope(env, handles);
}

// A loop must be free of our handles before it is torn down.
void End(void* data) {
  Watch* watch = static_cast<Watch*>(data);
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll), [](uv_handle_t* handle) {
    Watch* closed = static_cast<Watch*>(handle->data);
    close(closed->fd);
    delete closed;
  });
}

// (onChange): 0 or -errno. For as long as the process lives, which it does not keep alive.
napi_value WatchMounts(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Number(env, -errno);
  uv_loop_t* uv = nullptr;
  napi_get_uv_event_loop(env, &uv);
  Watch* watch = new Watch();
  const int error = uv_poll_init(uv, &watch->poll, fd);
  if (error < 0) {
    close(fd);
    delete watch;
    return Number(env, error);
  }
  watch->poll.data = watch;
  watch->env = env;
  watch->fd = fd;
  napi_value resource, name;
  napi_create_object(env, &resource);
  napi_create_string_utf8(env, "byref.mounts", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, resource, name, &watch->context);
  napi_create_reference(env, a.value(0), 1, &watch->callback);
  uv_poll_start(&watch->poll, UV_PRIORITIZED, OnChange);
  uv_unref(reinterpret_cast<uv_handle_t*>(&watch->poll));
  napi_add_env_cleanup_hook(env, End, watch);
  return Number(env, 0);
}

}  // namespace

void ExportWatch(napi_env env, napi_value exports) {
  Export(env, exports, "watchMounts", WatchMounts);
}

}  // namespace byref
