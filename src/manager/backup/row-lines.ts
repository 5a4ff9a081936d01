import { createReadStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ROWS_FILE } from './manifest.ts';

/** Yields the lines of a backup's rows, with their numbers from 1. @param directory where the backup is unpacked */
export async function* rowLines(
  directory: string,
): AsyncGenerator<{ readonly line: string; readonly at: number }> {
  const input = createReadStream(path.join(directory, ROWS_FILE), 'utf8');
  let at = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
    yield { line, at: ++at };
}
