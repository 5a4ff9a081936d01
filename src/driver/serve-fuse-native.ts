import { ByrefError } from '../base/error.ts';
import type { MountRequest } from '../control/protocol.ts';
import type { EnvParts } from './env-parts.ts';
import type { ServedEnv } from './served-env.ts';

/** Mounts the env over libfuse 2, for hosts where the kernel protocol can't be spoken directly. */
export function serveFuseNative(_parts: EnvParts, _request: MountRequest): Promise<ServedEnv> {
  const hint = 'mount without --transport';
  return Promise.reject(
    new ByrefError('unsupported', 'the transport fuse-native is not built in', hint),
  );
}
