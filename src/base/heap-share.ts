import { getHeapStatistics } from 'node:v8';

/**
 * Returns how many things of a size fit into a part of this process's heap, which V8 sizes by the machine's memory and
 * `--max-old-space-size`. V8 ends a process that needs more than all of its heap.
 */
export const heapShare = (part: number, bytesEach: number): number =>
  Math.floor((getHeapStatistics().heap_size_limit * part) / bytesEach);
