/**
 * Shares the threads of the pool (THREADS in src/manager/envs/spawn.ts) among the envs. Work in no lane, such as
 * the flush of a journal or a notification to the kernel, is short, and has the threads that are left.
 */
import { availableParallelism } from 'node:os';
import { fileCalls } from '../../native/file-calls.ts';
import type { FileCalls } from '../core/ports.ts';
import { FairPool, type Run } from './fair-pool.ts';

const COPYING = 4;
/**
 * Half of the CPUs, but fewer than COPYING: the thread that serves requests needs one. With two CPUs, a small
 * fsync beside six copies takes 1.5 ms (median) if one thread copies, and 7 ms if two do; the copies then take
 * half as long again.
 */
const COPYING_EACH = Math.min(COPYING - 1, Math.max(1, Math.floor(availableParallelism() / 2)));

/** Lanes for copies, in slices. */
const bulk = new FairPool(COPYING, COPYING_EACH);
/** Lanes for work that a program waits for: reads from the disk, and fsyncs, of which one may take seconds. */
const waits = new FairPool(8, 4);

/** One env's access to the thread pool. */
export interface PoolShare {
  readonly files: FileCalls;
  /** Runs slices of copies. */
  readonly bulk: Run;
}

/** Makes an env's access to the thread pool, with lanes of its own. */
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
