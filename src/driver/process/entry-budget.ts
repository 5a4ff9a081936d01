import { heapShare } from '../../base/heap-share.ts';
import { EntryBudget } from '../core/entry-budget.ts';

/**
 * Bytes that an inode takes here: 420 measured, over 200,000 files of a template; more with xattrs or a long
 * target.
 */
const ENTRY_BYTES = 450;
/** The share of the heap for all entries. The rest is for pending changes and templates' rows. */
const HEAP_PART = 0.4;
/** More is of no use: half of these is three large systems' files, and collecting garbage among them takes long. */
const ENTRIES_MAX = 2_000_000;

/** Above half of this many files of envs' own, some are forgotten: each takes some 950 bytes here, measured over 300,000 symlinks. */
const OWN_MAX = 200_000;

/** The budget of inodes and open files in memory, shared by all envs of this process. */
export const entryBudget = new EntryBudget(
  Math.min(ENTRIES_MAX, heapShare(HEAP_PART, ENTRY_BYTES)),
  OWN_MAX,
);
