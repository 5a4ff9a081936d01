import type { Ino } from '../../base/ids.ts';
import { inPages } from './in-pages.ts';
import type { Delta, DeltaEntry } from './ports.ts';

/** Names read per page. */
const PAGE = 256;

/**
 * Of a directory with up to this many changed names, it is cheaper to look each up among the env's names; with
 * more, to read all the env's names there.
 */
export const LOOKED_UP_MAX = 16;

/** Yields every name that the env added to the directory or removed from it, read page by page. */
export const namesIn = (delta: Pick<Delta, 'list'>, dir: Ino): Generator<DeltaEntry> =>
  inPages(PAGE, (after, max) => delta.list(dir, after, max));

/** Returns true if the env has a name of its own in the directory; whiteouts do not count. */
export function hasOwnName(delta: Pick<Delta, 'list'>, dir: Ino): boolean {
  for (const { ino } of namesIn(delta, dir)) if (ino !== 0) return true;
  return false;
}
