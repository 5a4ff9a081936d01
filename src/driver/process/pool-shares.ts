/**
 * How the threads of the pool (THREADS in src/manager/envs/spawn.ts) are shared. What is in no lane, such as
 * the flush of a journal or what the kernel is told, is short, and has the threads that are left.
 */
import { availableParallelism } from 'node:os';
import { fileCalls } from '../../native/file-calls.ts';
import type { FileCalls } from '../core/ports.ts';
import { FairPool, type Run } from './fair-pool.ts';

const COPYING = 4;
/**
 * Half of the CPUs, but not all of COPYING: the thread that serves requests needs one. With two CPUs, a small fsync
 * beside six copies takes 1.5 ms (median) if one thread copies, and 7 ms if two do; the copies take half as long again.
 */
const COPYING_EACH = Math.min(COPYING - 1, Math.max(1, Math.floor(availableParallelism() / 2)));

/** Copies, in slices. */
const bulk = new FairPool(COPYING, COPYING_EACH);
/** What a program waits for: reads from the disk, and fsyncs, of which one may take seconds. */
const waits = new FairPool(8, 4);

/** One env's ways to the thread pool. */
export interface PoolShare {
  readonly files: FileCalls;
  /** For slices of copies. */
  readonly bulk: Run;
}

export function poolShare(): PoolShare {
  const copy = bulk.lane();
  const wait = waits.lane();
  const files: FileCalls = {
    ...fileCalls,
    pread: (...args) => wait(() => fileCalls.pread(...args)),
    fsync: (...args) => wait(() => fileCalls.fsync(...args)),
    fallocate: (...args) => copy(() => fileCalls.fallocate(...args)),
    copyRange: (...args) => copy(() => fileCalls.copyRange(...args)),
  };
  return { files, bulk: copy };
}
