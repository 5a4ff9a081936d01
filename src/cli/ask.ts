import { createInterface } from 'node:readline/promises';
import { visible } from '../base/visible.ts';

/**
 * Asks a yes-or-no question on standard error, and reads the answer from standard input. True for y or yes; the
 * end of the input and Ctrl-C count as no.
 */
export async function ask(question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // When the input has ended, no answer can come.
  const closed = new AbortController();
  lines.on('close', () => closed.abort());
  try {
    const answer = await lines.question(`${visible(question)} [y/N] `, {
      signal: AbortSignal.any([signal, closed.signal]),
    });
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    process.stderr.write('\n');
    return false;
  } finally {
    lines.close();
    process.stdin.unref();
  }
}
