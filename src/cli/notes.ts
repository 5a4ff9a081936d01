import { sayLines } from './print.ts';

/** What is to be known of what was done, beside its result: on standard error. */
export function printNotes(notes: readonly string[]): void {
  sayLines(...notes.map((note) => `byref: ${note}`));
}

/** Of objects that were freed while others store some. */
export const LATER = ': their files go when what is being stored just now is there';
