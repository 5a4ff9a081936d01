import { ByrefError } from '../base/error.ts';
import { type EnvState, envState } from '../manager/envs/state.ts';
import type { EnvRow, Store } from '../store/store.ts';

/**
 * Returns the state of an env that has to be stopped.
 * @param why a sentence for the hint, with a blank at its end; '' if it needs none
 * @throws ByrefError 'busy' if it is mounted, or runs
 */
export async function needStopped(store: Store, row: EnvRow, why: string): Promise<EnvState> {
  const state = await envState(store, row);
  if (state.state === 'stopped') return state;
  const [how, command] = state.firstPid === null ? ['mounted', 'umount'] : ['running', 'stop'];
  const hint = `${why}Do this first: byref ${command} ${row.name}`;
  throw new ByrefError('busy', `${row.name} is ${how}`, hint);
}
