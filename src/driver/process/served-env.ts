import { connectionAt } from '../../ipc/connection.ts';
import type { MountedEnv, MountRequest } from '../../ipc/protocol.ts';
import type { EnvFileSystem } from '../core/api.ts';
import { createFileSystem } from '../core/filesystem.ts';
import type { KernelCaches, Passthrough } from '../core/ports.ts';
import { capabilities } from '../core/proc-capabilities.ts';
import type { LeftMount, ResumeRecords } from '../core/resume/records.ts';
import type { SessionStats } from '../fuse/session.ts';
import { entryBudget } from './entry-budget.ts';
import type { EnvParts } from './env-parts.ts';
import { fdBudget } from './fd-budget.ts';
import { poolShare } from './pool-shares.ts';
import type { KeptMount } from './resume/kept-mount.ts';
import type { WriterTrace } from './writers/writer-trace.ts';

/** A mounted env, from the answer to INIT to the end of its connection. */
export interface ServedEnv {
  info: MountedEnv;
  readonly fs: EnvFileSystem;
  /** The notes of who changed what; null if tracing was not asked for. */
  readonly trace: WriterTrace | null;
  /** This process's descriptor of /dev/fuse; -1 if the transport keeps its own. */
  readonly device: number;
  /** What another driver needs to go on with it; null if its transport leaves that to nobody. */
  readonly kept: KeptMount | null;
  /** Returns counters of its requests; null if the transport counts none. */
  readonly stats: () => SessionStats | null;
  /** Resolves when the mount is gone, to the errno that reported it. */
  readonly ended: Promise<number>;
  /** Makes requests that change something wait: Session.hold(). null if the transport can't. */
  readonly hold: (() => () => void) | null;
  /** Stops serving it, for another driver to go on: what was begun is answered first. */
  leave(): Promise<void>;
  /**
   * Ends the mount from this side: files that are open in it fail from then on.
   * @param drop makes the holder close its copy
   */
  abort(drop: () => Promise<void>): Promise<void>;
}

/** The ports that a transport provides to the core. */
interface TransportPorts {
  readonly passthrough: Passthrough | null;
  readonly caches: KernelCaches;
  readonly records?: ResumeRecords | null;
  readonly left?: LeftMount | null;
}

/** Puts the filesystem core over an env's parts. */
export function coreOf(
  { lower, delta, accessRules, diskLimits }: EnvParts,
  ports: TransportPorts,
): EnvFileSystem {
  const { passthrough, caches, records = null, left = null } = ports;
  const blobs = delta.files;
  const { files, bulk } = poolShare();
  blobs.shareThreads(bulk);
  const fs = createFileSystem({
    lower,
    delta,
    blobs,
    files,
    capabilities,
    passthrough,
    caches,
    accessRules,
    fdBudget,
    entryBudget,
    records,
    left,
  });
  fs.limitDisk(diskLimits);
  // Programs use it, and nothing came between.
  if (left !== null) return fs;
  // A patch may have come while the env was not mounted.
  fs.keepDirs();
  // The flush removes the copies.
  if (delta.wasCutShort && fs.giveBackLeft(blobs.list()) > 0) void delta.flush();
  return fs;
}

/** Describes a mount for `status` and the log. */
export function describe(
  { row, delta }: EnvParts,
  { mountpoint, transport, trace }: MountRequest,
  passthrough: boolean,
): MountedEnv {
  const since = new Date().toISOString();
  const connection = connectionAt(mountpoint);
  const { id: env, name } = row;
  const damage = delta.readOnly;
  return { env, name, mountpoint, connection, transport, passthrough, trace, since, damage };
}
