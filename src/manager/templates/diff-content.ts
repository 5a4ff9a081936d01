/** Shows text differences between two versions of a file, made by Debian's diff(1). */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { pathToText } from '../../base/ids.ts';
import { textOfBytes } from '../../base/text-bytes.ts';
import { visible } from '../../base/visible.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { Store } from '../../store/store.ts';
import type { Difference } from './diff.ts';
import { fileAt } from './walk-version.ts';

/** A NUL within this many bytes means that a file is not text, as in git. */
const LOOKED_AT = 8000;
const OUTPUT_MAX = 64 * 2 ** 20;
const NOTHING = '/dev/null';

/**
 * Returns a unified difference of the file's contents; one line if it is not text. '' if the contents are the
 * same (only attributes changed), or the path is not a file.
 * @param before, after the two versions, each by itself
 */
export function contentDiff(
  store: Store,
  before: LowerTree,
  after: LowerTree,
  { path }: Difference,
): string {
  const was = fileAt(before, path);
  const is = fileAt(after, path);
  if (was === null && is === null) return '';
  if (was?.object === is?.object) return '';
  const [from, to] = [bytesOf(store, was), bytesOf(store, is)];
  const shown = visible(pathToText(path));
  if (isBinary(from) || isBinary(to)) return `Binary files a${shown} and b${shown} differ\n`;
  const labels = [was === null ? NOTHING : `a${shown}`, is === null ? NOTHING : `b${shown}`];
  const words = ['-u', '--label', labels[0]!, '--label', labels[1]!, '--', from, to];
  // Waited for, since whoever shows it has nothing else to do meanwhile.
  const { stdout, error } = spawnSync('diff', words, { maxBuffer: OUTPUT_MAX });
  if (error !== undefined) throw error;
  return textOfBytes(stdout);
}

const bytesOf = (store: Store, record: InodeRecord | null): string =>
  record === null || record.object === '' ? NOTHING : store.objects.path(record.object);

function isBinary(file: string): boolean {
  const bytes = Buffer.alloc(LOOKED_AT);
  const fd = openSync(file, 'r');
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, LOOKED_AT, 0)).includes(0);
  } finally {
    closeSync(fd);
  }
}
