import { readdirSync, readFileSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { keptDescriptors } from '../../base/kept-descriptors.ts';
import type { FdBudget } from '../core/fd-cache.ts';
import { Turns } from '../core/turns.ts';

/** What a mounted env has open as long as it is mounted: its device, and its lock. */
const ENV_ALWAYS = 2;
/** For connections of commands, and what is open for a moment. */
const SLACK = 8;
/** The least that must be left for the work of all envs. */
const WORK_MIN = 16;
/** The share of the rest that may be kept open to be faster; the other is for what goes on at this moment. */
const PART_KEPT = 0.5;
/** A long call holds two descriptors. */
const PART_FOR_TURNS = 0.2;

/** The budget of descriptors for I/O, shared by all envs of this process. */
export const fdBudget = { max: WORK_MIN, used: 0, turns: new Turns(WORK_MIN) } satisfies FdBudget;

const limit = openFilesMax();
/** What this process has open without any env; counted at its first mount. */
let own = 0;

/**
 * Shares out the descriptors that this process may have, for a number of mounted envs.
 * @throws ByrefError 'noSpace' if too few would be left to serve them
 */
export function shareDescriptors(envs: number): void {
  if (own === 0) own = readdirSync('/proc/self/fd').length;
  const left = limit - own - SLACK - ENV_ALWAYS * envs;
  if (left < WORK_MIN) throw tooFew(envs);
  fdBudget.max = Math.floor(left * PART_KEPT);
  fdBudget.turns.max = Math.floor(left * PART_FOR_TURNS);
  keptDescriptors.max = fdBudget.max;
}

function tooFew(envs: number): ByrefError {
  const message = `this driver may have ${limit} files open, which are too few to serve ${envs} envs`;
  const hint =
    'Raise the limit for who mounts the first env (ulimit -n), or make a root with more shards.';
  return new ByrefError('noSpace', message, hint);
}

function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}
