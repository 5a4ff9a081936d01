import { mkdirSync, rmdirSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import type { MountRequest } from '../../ipc/protocol.ts';
import type { Log } from '../../observe/log.ts';
import { needDelta, noteDelta } from '../../store/delta-marks.ts';
import { giveToEnv } from '../../store/reserve.ts';
import { type EnvRow, envDir, type StackRef, type Store } from '../../store/store.ts';
import type { AccessRules, DiskLimits, LowerTree } from '../core/ports.ts';
import type { EnvDelta } from '../delta/env-delta.ts';
import { openDelta } from '../delta/open-delta.ts';
import { objectOpener } from './object-opener.ts';

/** The parts of an env that is served. */
export interface EnvParts {
  readonly row: EnvRow;
  /** The stack that it sees when it is mounted, and its lower tree. */
  readonly stack: readonly StackRef[];
  readonly lower: LowerTree;
  readonly delta: EnvDelta;
  /** How its mount keeps access times; until that is read, the default of mounts. */
  readonly accessRules: AccessRules;
  /** The most that it may take on disk. Its usage is counted if there is a limit. */
  readonly diskLimits: DiskLimits;
  /** MS_* flags of its mount, as they were asked for. */
  readonly mountFlags: number;
}

/**
 * Takes the env's lock, and opens its delta and its templates.
 * @param shown the stack that the mount of another driver shows, to go on with that; null for a new mount
 * @throws ByrefError 'notFound', 'locked', 'corrupt'
 */
export async function openEnv(
  store: Store,
  { env, mountFlags }: Pick<MountRequest, 'env' | 'mountFlags'>,
  log: Log,
  shown: readonly StackRef[] | null = null,
): Promise<EnvParts> {
  // The directory of an env that was never mounted does not exist yet.
  const { name } = store.needEnv(env);
  const directory = envDir(store.at, env);
  needDelta(store.at, env, name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const delta = await openDelta(directory, {
    openObject: objectOpener(store.objects, (fields, message) =>
      log.error({ env, name, ...fields }, message),
    ),
    onError: (error) => log.error({ env, err: error }, 'delta'),
    keepOrphans: shown !== null,
    goesOn: shown !== null,
    giveShared: (bytes) => giveToEnv(store.at, bytes),
  });
  try {
    noteDelta(store.at, env);
    store.refresh();
    // Read again under the lock: a destroy removes the row under the same lock.
    const row = store.needEnv(env);
    const stack = shown ?? store.resolveStack(row);
    const accessRules: AccessRules = { files: 'relatime', dirs: 'relatime' };
    const limits = diskLimits(store, env);
    if (limits.bytes !== null || limits.inodes !== null) await delta.files.usage.start();
    const lower = store.lowerTree(stack);
    return { row, stack, lower, delta, accessRules, diskLimits: limits, mountFlags };
  } catch (error) {
    await delta.close();
    if (error instanceof ByrefError && error.code === 'notFound') removeEmpty(directory);
    throw error;
  }
}

/** Returns the limits that are set for an env. */
export function diskLimits(store: Store, env: number): DiskLimits {
  const { diskBytes: bytes, diskInodes: inodes } = store.settings(env).limits;
  return { bytes, inodes };
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // The command that destroyed the env removes it.
  }
}
