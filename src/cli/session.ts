/** Opens the store for commands. */
import { recoveredText } from '../services/recovery.ts';
import {
  type StoreMode,
  type StoreSession,
  withStore as withSession,
} from '../services/store-session.ts';
import type { Store } from '../store/store.ts';
import type { Context } from './command.ts';
import { oldReaderLines } from './old-readers.ts';
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
  onReplaced: (objects, readers, store) => {
    const named = readers.map(({ env, files }) => ({
      env: store.env(env)?.name ?? `${env}`,
      files,
    }));
    sayLines(`byref: wrote ${objects} damaged ${objects === 1 ? 'object' : 'objects'} anew`);
    sayLines(...oldReaderLines(named).map((line) => `byref: ${line}`));
  },
});

/** Runs `work` with the store open, as the use case does. */
export const withStore = <T>(
  context: Pick<Context, 'root' | 'patience'>,
  mode: StoreMode,
  work: (store: Store) => T | Promise<T>,
): Promise<T> => withSession(sessionOf(context), mode, work);

export { interruptible } from '../services/store-session.ts';
