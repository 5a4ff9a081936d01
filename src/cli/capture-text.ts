/** Describes a capture for people. */

import { pathToText } from '../base/ids.ts';
import { isDir, isLnk } from '../base/mode.ts';
import { formatSize } from '../base/size.ts';
import type { CaptureOutcome } from '../manager/recipes/capture/capture.ts';
import { FINDING_TEXT, type Finding } from '../manager/recipes/capture/findings.ts';
import { programsText } from '../manager/recipes/capture/listing.ts';
import type { Review } from '../manager/recipes/capture/review.ts';
import type { Captured } from '../manager/recipes/capture/tree.ts';
import { objectsText } from './numbers.ts';

const SIZE_WIDTH = 9;
const PROGRAMS_WIDTH_MAX = 32;
/** How many paths of one finding a summary lists. */
const SHOWN = 5;

const textOf = (path: string): string => pathToText(path);

const sizeOf = ({ node }: Captured): string =>
  node.children === null && !isLnk(node.mode) ? formatSize(node.size) : '';

/**
 * Returns the lines that show all of a capture before it is stored. @param verbose list each path that the
 * rules left out
 */
export function reviewText(review: Review, verbose: boolean): string[] {
  const { captured, recording } = review;
  const width = Math.min(
    PROGRAMS_WIDTH_MAX,
    Math.max(...captured.map(({ programs }) => programsText(programs).length)),
  );
  const marks = marksOf(review.findings);
  const line = (letter: string, size: string, programs: readonly string[], path: string): string =>
    `${letter} ${size.padStart(SIZE_WIDTH)}  ${programsText(programs).padEnd(width)}  ${path}`;
  return [
    ...sharesText(review),
    '',
    ...captured.map((each) =>
      line(each.kind, sizeOf(each), each.programs, shownPath(each) + (marks.get(each.path) ?? '')),
    ),
    ...recording.removed.map(({ path, programs }) => line('D', '', programs, textOf(path))),
    '',
    ...noticesText(review, verbose, Number.POSITIVE_INFINITY),
  ];
}

function shownPath({ path, node }: Captured): string {
  const link = isLnk(node.mode) ? ` -> ${textOf(node.target)}` : '';
  return textOf(path) + (isDir(node.mode) ? '/' : link);
}

function marksOf(findings: readonly Finding[]): Map<string, string> {
  const marks = new Map<string, string>();
  for (const { what, paths } of findings) {
    for (const path of paths) marks.set(path, `${marks.get(path) ?? ''}  [${what}]`);
  }
  return marks;
}

/** Returns the lines that sum up a capture after it was stored. */
export function summaryText({ end, template, version, review }: CaptureOutcome): string[] {
  if (template === null || end === 'declined') return ['not stored'];
  const { name, newest, current } = template;
  if (version === null) return [`${name}: nothing new; ${name}@${newest} is what there is`];
  const { number, files, directories, bytes, addedObjects, addedBytes } = version;
  return [
    `${name}@${number}: ${files} files in ${directories} directories, ${formatSize(bytes)}; ` +
      `new: ${objectsText(addedObjects)}, ${formatSize(addedBytes)}`,
    ...sharesText(review),
    ...noticesText(review, false, SHOWN),
    ...(number === current ? [] : [`staged; byref patch ${name} gives it to the envs`]),
  ];
}

function sharesText({ shares, recording }: Review): string[] {
  if (!recording.traced) return ['who wrote what is not known: it was not traced'];
  return shares.map(
    ({ programs, files, bytes }) =>
      `  ${programs}: ${files} file${files === 1 ? '' : 's'}, ${formatSize(bytes)}`,
  );
}

function noticesText(
  { findings, recording: { removed, ruled, accounts, passwords } }: Review,
  verbose: boolean,
  shown: number,
): string[] {
  const few = (paths: readonly string[]): string =>
    paths.slice(0, shown).map(textOf).join(' ') +
    (paths.length > shown ? ` and ${paths.length - shown} more` : '');
  const { users, groups } = accounts.added;
  const added = [
    ...users.map(({ name, uid }) => `user ${name} (${uid})`),
    ...groups.map(({ name, gid }) => `group ${name} (${gid})`),
  ];
  const lines = findings.map(({ what, paths }) => `${FINDING_TEXT[what]}: ${few(paths)}`);
  if (added.length > 0) lines.push(`added: ${added.join(', ')}`);
  if (passwords.of.length > 0 && !passwords.kept) {
    const names = passwords.of.map(textOf).join(', ');
    lines.push(`passwords that were set are left out, unless --keep-passwords is given: ${names}`);
  }
  if (removed.length > 0) {
    const paths = removed.map(({ path }) => path);
    lines.push(
      `removed, but an app can't take away what its base has, so they stay: ${few(paths)}`,
    );
  }
  if (ruled.length > 0) {
    const count = ({ rule, verdict, paths }: (typeof ruled)[number]): string =>
      `${paths.length} by ${rule}${verdict === 'empty' ? ' (emptied)' : ''}`;
    const all = verbose ? '' : `: ${ruled.map(count).join(', ')}`;
    lines.push(`left out by the rules${all}`);
    if (verbose) {
      for (const each of ruled) lines.push(`  ${count(each)}`, ...each.paths.map(indented));
    }
  }
  return lines;
}

const indented = (path: string): string => `    ${textOf(path)}`;
