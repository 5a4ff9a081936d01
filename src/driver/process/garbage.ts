import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../../native/binding.ts';

/**
 * By how much of what is in use the heap grows before garbage is collected, in percent. On a machine with much memory V8 would let it grow to
 * several times that: an env that makes names in one go leaves 15 MB of garbage a second.
 */
const GROWTH = 50;

/** Has V8 collect garbage early. To be called before the heap has grown. */
export const collectEarly = (): void => setFlagsFromString(`--heap-growing-percent=${GROWTH}`);

/**
 * Collects garbage and gives the memory back to the system. V8 does so only when it needs memory, which an idle
 * driver may not do for days.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setImmediate(() => {
    collect();
    native.trimMemory();
  });
}
