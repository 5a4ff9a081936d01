/** Opens the store for commands. */
import { recoveredText } from '../services/recovery.ts';
import {
  type StoreMode,
  type StoreSession,
  withStore as withSession,
} from '../services/store-session.ts';
import type { Store } from '../store/store.ts';
import type { Context } from './command.ts';
import { sayLines } from './print.ts';

/** A command in a runner needs what only the client has: the client runs the command itself. */
export class NeedsOwnProcess extends Error {}

/** Returns the session of a command, which says on stderr what was recovered. */
export const sessionOf = ({
  root,
  patience,
}: Pick<Context, 'root' | 'patience'>): StoreSession => ({
  root,
  patience,
  onRecovered: (record) => sayLines(`byref: ${recoveredText(record)}`),
});

/** Runs `work` with the store open, as the use case does. */
export const withStore = <T>(
  context: Pick<Context, 'root' | 'patience'>,
  mode: StoreMode,
  work: (store: Store) => T | Promise<T>,
): Promise<T> => withSession(sessionOf(context), mode, work);

export { interruptible } from '../services/store-session.ts';
