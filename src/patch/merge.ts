/** Three-way merges of text, by Debian's diff3(1). */
import { execFile } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { sharedNumbers } from '../registry/accounts.ts';
import type { KeyedFormat } from '../registry/format.ts';
import { mergeKeyed } from '../registry/merge.ts';

/** Larger files are no configuration that anybody edits by hand. */
const TEXT_BYTES_MAX = 4 * 2 ** 20;
const TIMEOUT_MS = 30_000;

/** `kept`: what both changed, and is the env's, and what does not go together; in words. */
export type Merge =
  | { readonly text: Buffer; readonly kept?: string }
  | { readonly conflict: string };

/** Paths of files; of what was not there, null. */
export interface MergePaths {
  readonly ours: string;
  readonly base: string | null;
  readonly theirs: string;
}

/** What both made of `base`, record by record. Null: it is as ours. @param name of the file, absolute */
export function mergeByKey(
  format: KeyedFormat,
  name: string,
  { ours, base, theirs }: MergePaths,
): Merge | null {
  const read = (file: string): string => readFileSync(file, 'latin1');
  const mine = read(ours);
  const sides = { ours: mine, base: base === null ? null : read(base), theirs: read(theirs) };
  const { content, conflicts } = mergeKeyed(format, sides);
  const keys = conflicts.map(({ key }) => key).join(', ');
  const said = keys === '' ? [] : [`both changed ${keys}; that of the env stays`];
  if (content !== null) said.push(...sharedNumbers(name, mine, content));
  const kept = said.length === 0 ? {} : { kept: said.join('; ') };
  if (content === null || content === mine) {
    return kept.kept === undefined ? null : { conflict: kept.kept };
  }
  return { text: Buffer.from(content, 'latin1'), ...kept };
}

/**
 * What both made of `base`, or why that can't be said: both changed the same lines, or one of the files is no text.
 * @param ours, base, theirs paths of files
 */
export async function mergeTexts(ours: string, base: string, theirs: string): Promise<Merge> {
  for (const file of [ours, base, theirs]) {
    const why = whyNoText(file);
    if (why !== null) return { conflict: why };
  }
  const { code, stdout, stderr } = await diff3(ours, base, theirs);
  if (code === 0) return { text: stdout };
  if (code === 1) return { conflict: 'the env and the template changed the same lines' };
  return { conflict: `diff3 failed: ${stderr.trim() || `code ${code}`}` };
}

function diff3(...files: string[]): Promise<{ code: number; stdout: Buffer; stderr: string }> {
  const options = {
    encoding: 'buffer',
    maxBuffer: 4 * TEXT_BYTES_MAX,
    timeout: TIMEOUT_MS,
  } as const;
  return new Promise((resolve) => {
    const child = execFile('diff3', ['-E', '-m', '--', ...files], options, (error, out, err) => {
      const code = error === null ? 0 : (child.exitCode ?? -1);
      resolve({ code, stdout: out, stderr: err.toString('utf8') || (error?.message ?? '') });
    });
  });
}

function whyNoText(file: string): string | null {
  const bytes = Buffer.alloc(TEXT_BYTES_MAX + 1);
  const fd = openSync(file, 'r');
  try {
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    if (length > TEXT_BYTES_MAX) return 'it is too large to be merged';
    return bytes.subarray(0, length).includes(0) ? 'it is no text' : null;
  } finally {
    closeSync(fd);
  }
}
