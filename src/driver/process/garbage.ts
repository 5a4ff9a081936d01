import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../../native/binding.ts';

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
