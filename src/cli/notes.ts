/** What is to be known of what was done, beside its result: on standard error. */
export function printNotes(notes: readonly string[]): void {
  for (const note of notes) process.stderr.write(`byref: ${note}\n`);
}
