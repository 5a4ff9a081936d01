/** Merges the env's and the template's changes of one file: registry files by key, text by Debian's diff3(1). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readWhole, type Whole } from '../../base/read-whole.ts';
import { type Ended, runProgram } from '../../base/run-program.ts';
import { sharedNumbers } from '../merge/accounts.ts';
import type { KeyedFormat } from '../merge/format.ts';
import { REGISTRY_BYTES_MAX, registryContent } from '../merge/limits.ts';
import { mergeKeyed } from '../merge/merge.ts';

/** Nobody edits larger files by hand. */
const TEXT_BYTES_MAX = 4 * 2 ** 20;
const TIMEOUT_MS = 30_000;
/** The largest merge possible: one with all the lines of both sides. */
export const MERGED_BYTES_MAX = 2 * REGISTRY_BYTES_MAX;
/** The path of a file without content. */
export const EMPTY_FILE = '/dev/null';
/** The most characters that are kept of what a merge says. It is saved with the patch, and an env's records decide its length. */
const SAID_MAX = 2000;

/** A merge, or why there is none. `kept` tells in words what both changed (the env's stays) and what does not go together. */
export type Merge =
  | { readonly text: Buffer; readonly kept?: string }
  | { readonly conflict: string };

/** Paths of the three files; a base that did not exist is null. */
export interface MergePaths {
  readonly ours: string;
  readonly base: string | null;
  readonly theirs: string;
}

/** The three contents of a registry file, as binary strings; a base that did not exist is null. */
export interface MergeContents {
  readonly ours: string;
  readonly base: string | null;
  readonly theirs: string;
}

/**
 * Merges what both sides made of `base`, record by record. Null: the merge equals ours. What can't be merged becomes a
 * conflict and no error, no matter what the env has there, so that other envs are patched all the same.
 * @param name of the file, absolute
 * @param adjust replaces the contents before they are merged
 */
export function mergeByKey(
  format: KeyedFormat,
  name: string,
  paths: MergePaths,
  adjust: (contents: MergeContents) => MergeContents = (contents) => contents,
): Merge | null {
  const read = readSides(paths);
  if ('conflict' in read) return read;
  const sides = adjust(read);
  const { content, conflicts } = mergeKeyed(format, sides);
  const keys = conflicts.map(({ key }) => key).join(', ');
  const said = keys === '' ? [] : [`both changed ${keys}; that of the env stays`];
  if (content !== null) said.push(...sharedNumbers(name, read.ours, content));
  const kept = said.length === 0 ? {} : { kept: said.join('; ').slice(0, SAID_MAX) };
  if (content === null || content === read.ours) {
    return kept.kept === undefined ? null : { conflict: kept.kept };
  }
  return { text: Buffer.from(content, 'latin1'), ...kept };
}

function readSides({
  ours,
  base,
  theirs,
}: MergePaths): MergeContents | { readonly conflict: string } {
  const own = readSide('it', ours);
  const was = base === null ? null : readSide('the template’s', base);
  const is = readSide('the template’s', theirs);
  for (const side of [own, was, is]) {
    if (side !== null && typeof side !== 'string') return side;
  }
  return { ours: own as string, base: was as string | null, theirs: is as string };
}

function readSide(whose: string, file: string): string | { readonly conflict: string } {
  const got = registryContent(read(file, REGISTRY_BYTES_MAX));
  return 'content' in got ? got.content : { conflict: `${whose} ${got.why}` };
}

/**
 * Merges what both sides made of `base`, line by line. A conflict if both changed the same lines, or a file is no text.
 * @param ours, base, theirs paths of files
 */
export async function mergeTexts(ours: string, base: string, theirs: string): Promise<Merge> {
  const contents = [ours, base, theirs].map((file) => read(file, TEXT_BYTES_MAX));
  for (const whole of contents) {
    const why = whyNoText(whole);
    if (why !== null) return { conflict: why };
  }
  const { code, how, stdout, stderr } = await diff3(contents[0] as Buffer, base, theirs);
  if (code === 0) return { text: stdout };
  if (code === 1) return { conflict: 'the env and the template changed the same lines' };
  return { conflict: `diff3 failed: ${stderr.toString().trim() || how}` };
}

/** @param ours a content, put into a file here: the env's own file may be growing, and diff3 reads it to its end, twice */
async function diff3(ours: Buffer, base: string, theirs: string): Promise<Ended> {
  const dir = mkdtempSync(path.join(tmpdir(), 'byref-merge-'));
  try {
    const file = path.join(dir, 'ours');
    writeFileSync(file, ours);
    return await runProgram(['diff3', '-E', '-m', '--', file, base, theirs], {
      timeoutMs: TIMEOUT_MS,
      outputMax: 4 * TEXT_BYTES_MAX,
      ofMore: 'none',
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const read = (file: string, max: number): Whole =>
  file === EMPTY_FILE ? Buffer.alloc(0) : readWhole(file, max);

function whyNoText(whole: Whole): string | null {
  if (whole === null) return 'it is no regular file';
  if (typeof whole === 'number') return 'it is too large to be merged';
  return whole.includes(0) ? 'it is no text' : null;
}
