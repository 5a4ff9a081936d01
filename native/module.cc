#include "exports.h"

static napi_value Init(napi_env env, napi_value exports) {
  byref::ExportFiles(env, exports);
  byref::ExportStat(env, exports);
  byref::ExportIo(env, exports);
  byref::ExportAsync(env, exports);
  byref::ExportXattr(env, exports);
  byref::ExportMount(env, exports);
  byref::ExportDevice(env, exports);
  byref::ExportLoop(env, exports);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
