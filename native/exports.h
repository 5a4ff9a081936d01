// One registration per file of the add-on; the names are those of src/native/binding.ts.
#pragma once

#include <node_api.h>

namespace byref {

void ExportFiles(napi_env env, napi_value exports);
void ExportStat(napi_env env, napi_value exports);
void ExportIo(napi_env env, napi_value exports);
void ExportAsync(napi_env env, napi_value exports);
void ExportXattr(napi_env env, napi_value exports);
void ExportMount(napi_env env, napi_value exports);
void ExportDevice(napi_env env, napi_value exports);
void ExportLoop(napi_env env, napi_value exports);
void ExportWatch(napi_env env, napi_value exports);
void ExportExtents(napi_env env, napi_value exports);
void ExportDeath(napi_env env, napi_value exports);
void ExportLmdbTexts(napi_env env, napi_value exports);
void ExportShared(napi_env env, napi_value exports);
void ExportGroupMoves(napi_env env, napi_value exports);

}  // namespace byref
