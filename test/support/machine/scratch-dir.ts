/** Directories of a test, below the temporary one of the run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';

/** Makes a directory that whoever made it removes, by removeDir(). */
export const newDir = (): string => mkdtempSync(path.join(tmpdir(), 'byref-dir-'));

/** Removes a directory and all in it, if it is there. */
export const removeDir = (dir: string): void => rmSync(dir, { recursive: true, force: true });

const toEnd: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end();
});

/** Runs something after the test; what was said last runs first. */
export const atEnd = (end: () => Promise<void> | void): void => void toEnd.push(end);

/** Makes a directory that goes with the test. */
export function scratchDir(): string {
  const dir = newDir();
  atEnd(() => removeDir(dir));
  return dir;
}

/** Writes a file into a directory that goes with the test; its path. */
export function scratchFile(name: string, bytes: Buffer): string {
  const file = path.join(scratchDir(), name);
  writeFileSync(file, bytes);
  return file;
}
