import { createInterface } from 'node:readline/promises';
import { visible } from '../base/visible.ts';

/** Asks on standard error, and reads a line of standard input: true for y or yes. Its end, or Ctrl-C, is a no. */
export async function ask(question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Nobody answers any more.
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
