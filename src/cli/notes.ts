import { sayLines } from './print.ts';

/** What is to be known of what was done, beside its result: on standard error. */
export function printNotes(notes: readonly string[]): void {
  sayLines(...notes.map((note) => `byref: ${note}`));
}
