import { readFileSync, writeFileSync } from 'node:fs';
import { pause, run } from './process.ts';

export type CacheLevel = 'dentries' | 'all';

const DROP_CACHES = '/proc/sys/vm/drop_caches';
/** For FUSE servers to work off the FORGETs that a drop sends them. */
const SETTLE_MS = 200;

let ownDrops = 0;

/**
 * Empties the kernel's caches: dentries and inodes, or pages as well. Dirty ones can't be dropped, so
 * all is written first.
 */
export async function dropCaches(level: CacheLevel): Promise<void> {
  await run('sync', []);
  writeFileSync(DROP_CACHES, level === 'all' ? '3' : '2');
  // The kernel counts pages and dentries apart.
  ownDrops += level === 'all' ? 2 : 1;
  await pause(SETTLE_MS);
}

/**
 * How often others on this machine dropped its caches so far: what was measured while this changed is
 * neither warm nor cold.
 */
export function foreignDrops(): number {
  const counts = readFileSync('/proc/vmstat', 'utf8').matchAll(/^drop_(?:pagecache|slab) (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0) - ownDrops;
}
