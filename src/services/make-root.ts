import { existsSync } from 'node:fs';
import path from 'node:path';
import { endServersOf } from '../manager/envs/former-servers.ts';
import type { Check } from '../manager/upkeep/doctor/check.ts';
import { fileSystemChecks } from '../manager/upkeep/doctor/file-system.ts';
import { MARKER } from '../store/marker.ts';
import { initRoot } from '../store/store.ts';

/** The outcome of makeRoot(). */
export interface RootMade {
  /** Absolute path. */
  readonly root: string;
  /** How many drivers its envs are spread over. */
  readonly shards: number;
  /** What its file system can do. */
  readonly checks: readonly Check[];
}

/**
 * Makes a root, and checks what its file system can do.
 * @throws ByrefError 'exists', 'badInput'; 'busy' if envs of a root that was removed from here are still mounted
 */
export async function makeRoot(root: string, shards: number): Promise<RootMade> {
  if (!existsSync(path.join(root, MARKER))) await endServersOf(root);
  await initRoot(root, { shards });
  return { root, shards, checks: await fileSystemChecks(root) };
}
