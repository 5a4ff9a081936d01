/** Reads and writes the file that makes a directory a byref root, and says its format. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';

/** The on-disk format that this byref writes. It upgrades older ones (docs/internals/FORMAT.md). */
export const FORMAT = 4;
/** The last format whose rows have no sums: all else is as in FORMAT, so it can be read, and written to, as it is. */
export const WITHOUT_SUMS = 3;
/** The file that makes a directory a byref root. */
export const MARKER = 'BYREF';
/** Returns the content of the marker. */
export const markerText = (format: number): string => `byref root, format ${format}\n`;

/**
 * Returns the format of a root: that of this byref, or an older one that it can upgrade.
 * @throws ByrefError 'notFound' if `dir` is not a byref root, 'corrupt' if its format is unknown here
 */
export function rootFormat(dir: string): number {
  let marker: string;
  try {
    marker = readFileSync(path.join(dir, MARKER), 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EACCES') throw cause;
    const hint = `Make one with: byref init --root ${dir}`;
    throw new ByrefError('notFound', `${dir} is not a byref root`, hint, { cause });
  }
  const format = formatIn(marker);
  if (format !== null) return format;
  const message = `${dir} says "${marker.trim()}", and this byref knows format ${FORMAT}`;
  throw new ByrefError('corrupt', message, 'Use the byref that made it, or a newer one.');
}

function formatIn(marker: string): number | null {
  for (let format = 1; format <= FORMAT; format++) if (marker === markerText(format)) return format;
  return null;
}

/** Returns true if the rows of a store get sums: of a root that is just being made, too. @param meta the directory of its tables */
export function hasSums(meta: string): boolean {
  try {
    const format = formatIn(readFileSync(path.join(meta, '..', MARKER), 'utf8'));
    return format === null || format > WITHOUT_SUMS;
  } catch {
    return true;
  }
}

/** Writes the marker. It is replaced as a whole or not at all, and is on disk when this returns. */
export function writeMarker(root: string, format: number): void {
  const marker = path.join(root, MARKER);
  const fd = openSync(`${marker}.new`, 'w', 0o644);
  writeSync(fd, markerText(format));
  fsyncSync(fd);
  closeSync(fd);
  renameSync(`${marker}.new`, marker);
  const dir = openSync(root, 'r');
  fsyncSync(dir);
  closeSync(dir);
}
