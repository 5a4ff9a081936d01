// The request loop: when a /dev/fuse descriptor is readable, read a request, hand it to JavaScript,
// write the reply it left in the shared buffer; until EAGAIN or a fair share.
//
// One callback scope spans a wake-up, not a request: promises and ticks that requests left run at its end.
// A handle scope spans each request. The loop's memory goes when libuv has closed its handle.
#include <sched.h>
#include <unistd.h>
#include <uv.h>

#include <map>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

// Requests answered per wake-up, so that other connections and finished work get their turn.
constexpr int kFairShare = 64;

// And for how long: 64 large writes, or answers to many forgotten inodes, would be too long a turn.
constexpr uint64_t kTurnNs = 1000 * 1000;

// How long the event loop looks again before it sleeps after a request. A program that just got an answer
// mostly asks on at once, and waking a sleeping thread on an idle CPU costs more than serving it.
constexpr uint64_t kSpinNs = 50 * 1000;

struct Loops;

struct Loop {
  uv_poll_t poll;
  napi_env env;
  Loops* owner;
  int32_t id;
  int fd;
  Bytes request;
  Bytes reply;
  bool stopped;
  napi_async_context context;
  // Values that live as long as the loop: buffers, callbacks, the async resource.
  napi_ref keep[5];
};

// The loops of one JavaScript environment, by the id that stopLoop takes.
struct Loops {
  std::map<int32_t, Loop*> by_id;
  int32_t next_id = 1;
  // While active, libuv polls without waiting. Made with the first loop, closed at the cleanup hook.
  uv_idle_t* spin = nullptr;
  bool spinning = false;
  uint64_t last_request_ns = 0;
};

// Once per turn of the event loop. The CPU is offered to others each time: the program that was just
// answered may be waiting for this very one.
void OnSpin(uv_idle_t* spin) {
  Loops* loops = static_cast<Loops*>(spin->data);
  if (uv_hrtime() - loops->last_request_ns < kSpinNs) {
    sched_yield();
    return;
  }
  uv_idle_stop(spin);
  loops->spinning = false;
}

void StaySharp(Loops* loops) {
  loops->last_request_ns = uv_hrtime();
  if (loops->spinning) return;
  loops->spinning = uv_idle_start(loops->spin, OnSpin) == 0;
}

enum Kept { kRequest, kReply, kOnRequest, kOnEnd, kResource };

napi_value Get(const Loop* loop, Kept what) {
  napi_value v = nullptr;
  napi_get_reference_value(loop->env, loop->keep[what], &v);
  return v;
}

void Release(Loop* loop) {
  for (napi_ref ref : loop->keep) napi_delete_reference(loop->env, ref);
  napi_async_destroy(loop->env, loop->context);
  delete loop;
}

void Stop(Loop* loop) {
  if (loop->stopped) return;
  loop->stopped = true;
  loop->owner->by_id.erase(loop->id);
  uv_poll_stop(&loop->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&loop->poll), [](uv_handle_t* handle) {
    Loop* loop = static_cast<Loop*>(handle->data);
    napi_handle_scope scope;
    napi_open_handle_scope(loop->env, &scope);
    const napi_env env = loop->env;
    Release(loop);
    napi_close_handle_scope(env, scope);
  });
}

// Calls back with one number. A thrown exception becomes an uncaught one, and -1 is returned.
int64_t Call(const Loop* loop, Kept callback, int64_t number) {
  napi_value argument = Number(loop->env, number), result, self;
  napi_get_undefined(loop->env, &self);
  const napi_status status =
      napi_call_function(loop->env, self, Get(loop, callback), 1, &argument, &result);
  if (status == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(loop->env, &error);
    napi_fatal_exception(loop->env, error);
    return -1;
  }
  int64_t n = -1;
  if (status == napi_ok) napi_get_value_int64(loop->env, result, &n);
  return n;
}

void Answer(const Loop* loop, int64_t length) {
  if (length <= 0 || static_cast<size_t>(length) > loop->reply.length) return;
  // ENOENT: the request was interrupted or the connection aborted meanwhile; nobody waits for it.
  while (write(loop->fd, loop->reply.data, length) < 0 && errno == EINTR) {
  }
}

// One request. False when there is none now, or the loop ended.
bool Serve(Loop* loop) {
  const ssize_t n = read(loop->fd, loop->request.data, loop->request.length);
  if (n < 0) {
    // ENOENT: the request was aborted between being queued and being read.
    if (errno == ENOENT || errno == EINTR) return true;
    if (errno == EAGAIN) return false;
    const int error = errno;
    Stop(loop);
    Call(loop, kOnEnd, error);
    return false;
  }
  napi_handle_scope scope;
  napi_open_handle_scope(loop->env, &scope);
  const int64_t length = Call(loop, kOnRequest, n);
  Answer(loop, length);
  napi_close_handle_scope(loop->env, scope);
  return !loop->stopped;
}

// `status` tells of an error on the descriptor (an aborted connection); the read says which.
void OnReadable(uv_poll_t* poll, int, int) {
  Loop* loop = static_cast<Loop*>(poll->data);
  const napi_env env = loop->env;
  napi_handle_scope handles;
  napi_open_handle_scope(env, &handles);
  napi_callback_scope callbacks;
  napi_open_callback_scope(env, Get(loop, kResource), loop->context, &callbacks);
  Loops* loops = loop->owner;
  int served = 0;
  const uint64_t end = uv_hrtime() + kTurnNs;
  while (served < kFairShare && uv_hrtime() < end && Serve(loop)) served++;
  if (served > 0) StaySharp(loops);
  napi_close_callback_scope(env, callbacks);
  napi_close_handle_scope(env, handles);
}

void MakeSpin(Loops* loops, uv_loop_t* uv) {
  if (loops->spin != nullptr) return;
  loops->spin = new uv_idle_t();
  uv_idle_init(uv, loops->spin);
  loops->spin->data = loops;
  uv_unref(reinterpret_cast<uv_handle_t*>(loops->spin));
}

void CloseSpin(Loops* loops) {
  if (loops->spin == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(loops->spin),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_idle_t*>(handle); });
  loops->spin = nullptr;
}

Loops* LoopsOf(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Loops*>(data);
}

void Keep(Loop* loop, const Args& a) {
  const napi_env env = loop->env;
  for (int i = kRequest; i <= kOnEnd; i++) napi_create_reference(env, a.value(1 + i), 1, &loop->keep[i]);
  napi_value resource, name;
  napi_create_object(env, &resource);
  napi_create_reference(env, resource, 1, &loop->keep[kResource]);
  napi_create_string_utf8(env, "byref.fuse", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, resource, name, &loop->context);
}

// (devFd, request, reply, onRequest, onEnd)
napi_value StartLoop(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  const Bytes request = a.bytes(1), reply = a.bytes(2);
  if (request.data == nullptr || reply.data == nullptr) return Number(env, -EFAULT);
  uv_loop_t* uv = nullptr;
  napi_get_uv_event_loop(env, &uv);
  Loop* loop = new Loop();
  const int error = uv_poll_init(uv, &loop->poll, a.i32(0));
  if (error < 0) {
    delete loop;
    return Number(env, error);
  }
  MakeSpin(LoopsOf(env), uv);
  loop->poll.data = loop;
  loop->env = env;
  loop->owner = LoopsOf(env);
  loop->id = loop->owner->next_id++;
  loop->fd = a.i32(0);
  loop->request = request;
  loop->reply = reply;
  Keep(loop, a);
  loop->owner->by_id[loop->id] = loop;
  uv_poll_start(&loop->poll, UV_READABLE, OnReadable);
  return Number(env, loop->id);
}

napi_value StopLoop(napi_env env, napi_callback_info info) {
  Loops* loops = LoopsOf(env);
  const auto found = loops->by_id.find(Args(env, info).i32(0));
  if (found == loops->by_id.end()) return Number(env, -ENOENT);
  Stop(found->second);
  return Number(env, 0);
}

}  // namespace

void ExportLoop(napi_env env, napi_value exports) {
  Loops* loops = new Loops();
  napi_set_instance_data(
      env, loops, [](napi_env, void* data, void*) { delete static_cast<Loops*>(data); }, nullptr);
  // A worker's libuv loop must be free of our handles before it is torn down.
  napi_add_env_cleanup_hook(
      env,
      [](void* data) {
        Loops* all = static_cast<Loops*>(data);
        while (!all->by_id.empty()) Stop(all->by_id.begin()->second);
        CloseSpin(all);
      },
      loops);
  Export(env, exports, "startLoop", StartLoop);
  Export(env, exports, "stopLoop", StopLoop);
}

}  // namespace byref
