import type { Ino } from '../base/ids.ts';
import type { Delta } from './ports.ts';

/** Names of a directory that are read at a time. */
const BATCH = 256;

/** True if the env has a name of its own in the directory: not one that it only removed. */
export function hasOwnName(delta: Pick<Delta, 'list'>, dir: Ino): boolean {
  for (let after = 0; ; ) {
    const names = delta.list(dir, after, BATCH);
    if (names.some(({ ino }) => ino !== 0)) return true;
    if (names.length < BATCH) return false;
    after = names.at(-1)?.cookie ?? after;
  }
}
