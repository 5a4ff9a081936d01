import type { Whole } from '../../base/read-whole.ts';
import { formatSize } from '../../base/size.ts';

/**
 * The largest registry file that is read, in bytes. It is parsed in memory, in the process that patches all
 * envs, and programs in an env can write there whatever they want. dpkg's status has about 1.5 KB per package:
 * 10,000 of them fit.
 */
export const REGISTRY_BYTES_MAX = 16 * 2 ** 20;

/**
 * The most lines of a registry file. A record takes up to 500 bytes of memory and 10 us, however short it is;
 * 10,000 packages have 250,000 lines.
 */
export const REGISTRY_LINES_MAX = 500_000;

const NEWLINE = 0x0a;

/** Returns the content of a registry file as a binary string, or why it can't be merged, as the end of a sentence. */
export function registryContent(whole: Whole): { content: string } | { why: string } {
  if (whole === null) return { why: 'is no regular file' };
  if (typeof whole === 'number') {
    const max = formatSize(REGISTRY_BYTES_MAX);
    return {
      why: `is too large to be merged: ${formatSize(whole)}, where at most ${max} are read`,
    };
  }
  let lines = 0;
  for (let at = whole.indexOf(NEWLINE); at >= 0; at = whole.indexOf(NEWLINE, at + 1)) {
    if (++lines > REGISTRY_LINES_MAX) {
      return { why: `has too many lines to be merged: more than ${REGISTRY_LINES_MAX}` };
    }
  }
  return { content: whole.toString('latin1') };
}
