import { heapShare } from '../../base/heap-share.ts';
import { EntryBudget } from '../core/entry-budget.ts';

/** What an inode takes here: 420 bytes measured, over 200,000 files of a template; more with xattrs or a long target. */
const ENTRY_BYTES = 450;
/** The part of the heap for all of them. The rest is for changes that are not checkpointed yet, and templates' rows. */
const HEAP_PART = 0.4;
/** More is of no use: half of these is three large systems' files, and collecting garbage among them takes long. */
const ENTRIES_MAX = 2_000_000;

/** Inodes and open files that this process keeps in memory, shared by all its envs. */
export const entryBudget = new EntryBudget(
  Math.min(ENTRIES_MAX, heapShare(HEAP_PART, ENTRY_BYTES)),
);
