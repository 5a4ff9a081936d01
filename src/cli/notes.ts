import { sayLines } from './print.ts';

/** Prints remarks about what was done, beside its result, on standard error. */
export function printNotes(notes: readonly string[]): void {
  sayLines(...notes.map((note) => `byref: ${note}`));
}

/** Added to a report on freed objects if others store some at that moment. */
export const LATER = ': their files go when what is being stored just now is there';
