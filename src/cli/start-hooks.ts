import type { StartHooks } from '../services/start-env.ts';
import type { Context } from './command.ts';
import { printNotes } from './notes.ts';

/** Returns a command's part when an env is started: it prints notes as they come. */
export const startHooks = ({ patience }: Context): StartHooks => ({
  patience,
  note: (text) => printNotes([text]),
});
