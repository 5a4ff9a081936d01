/**
 * Remembers which objects were found damaged, by a scrub or a full check: what stores the same bytes next writes these objects
 * anew, instead of finding them in the store. It is a file, `meta/damaged-objects`, and not a table, as a scrub writes nothing
 * to the store.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../base/ids.ts';
import { isNoSpace } from '../base/no-space.ts';
import { metaDir } from './root.ts';

const fileOf = (meta: string): string => path.join(meta, 'damaged-objects');

/** Returns the objects that were found damaged, and not found sound since. */
export function knownDamage(root: string): ObjectId[] {
  try {
    const lines = readFileSync(fileOf(metaDir(root)), 'latin1').split('\n');
    return lines.filter((line) => /^[0-9a-f]{64}$/.test(line)) as ObjectId[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Notes which objects are damaged, in place of those that were noted before. On a full disk these stay noted. */
export function noteDamage(root: string, ids: Iterable<ObjectId>): void {
  const file = fileOf(metaDir(root));
  const text = [...ids].join('\n');
  if (text === '') {
    rmSync(file, { force: true });
    return;
  }
  const next = `${file}.next`;
  try {
    writeFileSync(next, `${text}\n`, { mode: 0o600 });
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    if (!isNoSpace(error)) throw error;
  }
}
