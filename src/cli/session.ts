/** Opens the store for commands. */
import { recoveredText } from '../services/recovery.ts';
import {
  type StoreMode,
  type StoreSession,
  withStore as withSession,
} from '../services/store-session.ts';
import type { Store } from '../store/store.ts';
import type { Context } from './command.ts';
import { output } from './output.ts';
import { sayLines } from './print.ts';

/** A command in a runner found work that has to be done in a process of its own: the client runs the command itself. */
export class NeedsOwnProcess extends Error {}

/** Returns the session of a command, which says on stderr what was recovered. */
export const sessionOf = ({
  root,
  patience,
}: Pick<Context, 'root' | 'patience'>): StoreSession => ({
  root,
  patience,
  onRecovered: (record) => sayLines(`byref: ${recoveredText(record)}`),
  // Others read the store in the same process, and LMDB opens it only once for both.
  ...(output().runProgram !== null && {
    onDeadPatch: () => {
      throw new NeedsOwnProcess('a patch is to be recovered');
    },
  }),
});

/** Runs `work` with the store open, as the use case does. */
export const withStore = <T>(
  context: Pick<Context, 'root' | 'patience'>,
  mode: StoreMode,
  work: (store: Store) => T | Promise<T>,
): Promise<T> => withSession(sessionOf(context), mode, work);

export { interruptible } from '../services/store-session.ts';
