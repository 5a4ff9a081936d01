import { readFileSync } from 'node:fs';
import { ByrefError } from './error.ts';

/** Reads a text file that a command line names. @throws ByrefError 'badInput' if that can't be done */
export function readGivenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const message = `${file} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new ByrefError('badInput', message, 'Name a file that is there.', { cause });
  }
}
