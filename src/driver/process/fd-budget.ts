import { readFileSync } from 'node:fs';
import type { FdBudget } from '../core/fd-cache.ts';

/** The share for I/O. The rest is for what each env keeps open: its device, lock, journal and link table. */
const PART_FOR_IO = 0.5;

/** The budget of descriptors for I/O, shared by all envs of this process: half of what it may have open. */
export const fdBudget: FdBudget = { max: Math.floor(openFilesMax() * PART_FOR_IO), used: 0 };

function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}
