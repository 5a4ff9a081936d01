import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { output } from '../../support/machine/program.ts';
import type { TestRoot } from '../../support/machine/root.ts';

/** Returns what the private files of an env take on disk, as du counts. */
export function privateBytes(root: TestRoot, env: number): number {
  const directory = path.join(root.path, 'envs', String(env), 'private');
  return readdirSync(directory)
    .map((name) => lstatSync(path.join(directory, name), { throwIfNoEntry: false }))
    .reduce((sum, stat) => sum + (stat?.blocks ?? 0) * 512, 0);
}

/** What df shows of a mount. */
export interface Shown {
  readonly size: number;
  readonly used: number;
  readonly available: number;
  readonly inodes: number;
  readonly inodesUsed: number;
}

/** Asks df. */
export async function shown(mountpoint: string): Promise<Shown> {
  const columns = '--output=size,used,avail,itotal,iused';
  const lines = await output('df', ['-B1', columns, mountpoint]);
  const [size = 0, used = 0, available = 0, inodes = 0, inodesUsed = 0] = lines
    .trim()
    .split('\n')
    .at(-1)!
    .trim()
    .split(/\s+/)
    .map(Number);
  return { size, used, available, inodes, inodesUsed };
}
