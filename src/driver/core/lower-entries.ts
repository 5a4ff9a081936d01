import type { Ino } from '../../base/ids.ts';
import { inPages } from './in-pages.ts';
import type { LowerEntry, LowerTree } from './ports.ts';

/** Names read per page. */
const PAGE = 1024;

/** Yields all names of a template directory, in cookie order. */
export const entriesOf = (lower: LowerTree, dir: Ino): Generator<LowerEntry> =>
  inPages(PAGE, (after, max) => lower.list(dir, after, max));
