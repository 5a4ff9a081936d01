#include <malloc.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"

static napi_value TrimMemory(napi_env env, napi_callback_info) { return byref::Number(env, malloc_trim(0)); }

// Ends the process from whatever thread, at once: nothing of it is used any more.
static napi_value ExitNow(napi_env env, napi_callback_info info) { _exit(byref::Args(env, info).i32(0)); }

static napi_value Init(napi_env env, napi_value exports) {
  // glibc raises this threshold with every large block that is freed, and then keeps such blocks in
  // its arenas: a driver that opened and closed many link tables would stay four times as large.
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  byref::ExportFiles(env, exports);
  byref::ExportStat(env, exports);
  byref::ExportIo(env, exports);
  byref::ExportAsync(env, exports);
  byref::ExportXattr(env, exports);
  byref::ExportMount(env, exports);
  byref::ExportDevice(env, exports);
  byref::ExportLoop(env, exports);
  byref::ExportWatch(env, exports);
  byref::ExportExtents(env, exports);
  byref::ExportDeath(env, exports);
  byref::ExportLmdbTexts(env, exports);
  byref::ExportShared(env, exports);
  byref::ExportGroupMoves(env, exports);
  byref::Export(env, exports, "trimMemory", TrimMemory);
  byref::Export(env, exports, "exitNow", ExitNow);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
