import { getHeapStatistics } from 'node:v8';

/**
 * Returns how many things of a given size fit into a part of this process's heap. V8 sizes the heap by the
 * machine's memory and `--max-old-space-size`, and ends a process that needs more than all of it.
 * @param part fraction of the heap, 0 to 1
 */
export const heapShare = (part: number, bytesEach: number): number =>
  Math.floor((getHeapStatistics().heap_size_limit * part) / bytesEach);
