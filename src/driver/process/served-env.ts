import { connectionAt } from '../../ipc/connection.ts';
import type { MountedEnv, MountRequest } from '../../ipc/protocol.ts';
import type { EnvFileSystem } from '../core/api.ts';
import { createFileSystem } from '../core/filesystem.ts';
import type { KernelCaches, Passthrough } from '../core/ports.ts';
import { capabilities } from '../core/proc-capabilities.ts';
import { entryBudget } from './entry-budget.ts';
import type { EnvParts } from './env-parts.ts';
import { fdBudget } from './fd-budget.ts';
import { poolShare } from './pool-shares.ts';
import type { WriterTrace } from './writers/writer-trace.ts';

/** A mounted env, from the answer to INIT to the end of its connection. */
export interface ServedEnv {
  info: MountedEnv;
  readonly fs: EnvFileSystem;
  /** Who changed what; null where that was not asked for. */
  readonly trace: WriterTrace | null;
  /** This process's descriptor of /dev/fuse; -1 where the transport keeps its own. */
  readonly device: number;
  /** Resolves when the mount is gone, to the errno that said so. */
  readonly ended: Promise<number>;
  /**
   * Ends the mount from this side: what is open in it fails from then on.
   * @param drop makes the holder let go
   */
  abort(drop: () => Promise<void>): Promise<void>;
}

/** What a transport offers to the core. */
interface TransportPorts {
  readonly passthrough: Passthrough | null;
  readonly caches: KernelCaches;
}

/** Puts the filesystem core over an env's parts. */
export function coreOf(
  { layers, delta, accessRules }: EnvParts,
  ports: TransportPorts,
): EnvFileSystem {
  const { passthrough, caches } = ports;
  const blobs = delta.files;
  const { files, bulk } = poolShare();
  blobs.shareThreads(bulk);
  const fs = createFileSystem({
    layers,
    delta,
    blobs,
    files,
    capabilities,
    passthrough,
    caches,
    accessRules,
    fdBudget,
    entryBudget,
  });
  // A patch that came while the env was not mounted.
  fs.keepDirs();
  // The flush takes the copies away.
  if (delta.wasCutShort && fs.giveBackLeft(blobs.list()) > 0) void delta.flush();
  return fs;
}

export function describe(
  { row }: EnvParts,
  { mountpoint, transport, trace }: MountRequest,
  passthrough: boolean,
): MountedEnv {
  const since = new Date().toISOString();
  const connection = connectionAt(mountpoint);
  const { id: env, name } = row;
  return { env, name, mountpoint, connection, transport, passthrough, trace, since };
}
