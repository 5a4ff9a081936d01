// A thread that keeps the kernel ready for moves between control groups: src/manager/envs/runtime/group-moves.ts says why. It is no
// timer of JavaScript, whose loop is busy for longer than the kernel stays ready.
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

// Less than a grace period of RCU, after which a move would wait for the next.
constexpr timespec kBetween = {0, 4'000'000};

// Who is at work: the threads of earlier calls end when they see another number.
std::atomic<uint32_t> turn{0};

struct Work {
  int file;
  uint32_t turn;
};

void* Move(void* data) {
  const Work work = *static_cast<Work*>(data);
  delete static_cast<Work*>(data);
  while (turn == work.turn) {
    // A group of v2 that has groups with controllers takes no process; the grace period has passed all the same.
    if (write(work.file, "0", 1) < 0 && errno != EBUSY) break;
    nanosleep(&kBetween, nullptr);
  }
  close(work.file);
  return nullptr;
}

// (cgroup.procs of our own group): 0 or -errno. The file is the thread's from now on. Not while another one is at work.
napi_value StartMoving(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  Work* work = new Work{a.i32(0), ++turn};
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, Move, work);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    close(work->file);
    delete work;
  }
  return Number(env, -error);
}

// (): the thread ends soon.
napi_value StopMoving(napi_env env, napi_callback_info) {
  turn++;
  return Number(env, 0);
}

}  // namespace

void ExportGroupMoves(napi_env env, napi_value exports) {
  Export(env, exports, "startMoving", StartMoving);
  Export(env, exports, "stopMoving", StopMoving);
}

}  // namespace byref
