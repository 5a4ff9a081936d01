/** Merges the registry files of a stack that several of its templates have. */
import { ByrefError } from '../../../base/error.ts';
import type { Ino, Name } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import { entriesOf } from '../../../driver/core/lower-entries.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { Store } from '../../../store/store.ts';
import { accountsOf } from '../../merge/accounts.ts';
import { askedFor, withoutMarks } from '../../merge/auto-marks.ts';
import type { KeyConflict } from '../../merge/merge.ts';
import { mergeKeyed } from '../../merge/merge.ts';
import { STATUS_PATH } from '../../merge/packages.ts';
import { REGISTRY_PATHS, registryFormat } from '../../merge/table.ts';
import { contentAt } from '../../templates/file-content.ts';
import { dirAt, fileAt } from '../../templates/walk-version.ts';
import type { AppPart, StackParts } from './parts.ts';

/** A file of the composition. */
export interface MergedFile {
  readonly path: string;
  /** A binary string; null if the file is removed. */
  readonly content: string | null;
}

/** The merged files of a stack. */
export interface MergedFiles {
  /** Files that differ from what the stack shows without a composition. */
  readonly files: readonly MergedFile[];
  /** All registry files that an app has, merged; also those that need no change. */
  readonly contents: ReadonlyMap<string, string | null>;
  /** What the upper of two apps decided, in sentences. */
  readonly notes: readonly string[];
}

const MARKS = '/var/lib/apt/extended_states';
const PASSWD = '/etc/passwd';
const GROUP = '/etc/group';
/**
 * Files in which the order of apps can't decide a conflict: one user with two homes, or two users with one
 * number.
 */
const STRICT: ReadonlySet<string> = new Set([PASSWD, GROUP]);
/**
 * Files whose conflicts are not worth a note: the last package that asked debconf a question, or the day of a
 * locked password.
 */
const SILENT = /^\/(?:var\/cache\/debconf|var\/lib\/ucf|etc\/g?shadow)/;

/** Merges the registry files. @throws ByrefError 'badInput' for apps that can't be in one env; it names both */
export function mergeRegistry(store: Store, parts: StackParts): MergedFiles {
  const files: MergedFile[] = [];
  const contents = new Map<string, string | null>();
  const notes: string[] = [];
  for (const path of registryPaths(parts.apps)) {
    const merged = mergeOne(store, parts, path, notes);
    const content = path === MARKS ? withoutMarksOfAsked(store, parts, merged) : merged;
    contents.set(path, content);
    if (content !== contentAt(store, parts.lower, path)) files.push({ path, content });
  }
  refuseSharedNumbers(store, parts, contents);
  return { files, contents, notes };
}

/** Removes apt's mark for dependencies from packages that one app has as a dependency, and another asked for. */
function withoutMarksOfAsked(
  store: Store,
  { os, apps }: StackParts,
  marks: string | null,
): string | null {
  if (marks === null) return null;
  const asked = [os, ...apps].flatMap(({ lower }) => {
    const status = contentAt(store, lower, STATUS_PATH);
    return status === null ? [] : [...askedFor(status, contentAt(store, lower, MARKS))];
  });
  return withoutMarks(marks, new Set(asked));
}

/** Returns the registry files that some app has. */
function registryPaths(apps: readonly AppPart[]): string[] {
  const paths = new Set<string>();
  for (const { lower } of apps) {
    for (const pattern of REGISTRY_PATHS)
      for (const path of matching(lower, pattern)) paths.add(path);
  }
  return [...paths].sort();
}

function matching(lower: LowerTree, pattern: string): string[] {
  if (!pattern.includes('*')) return fileAt(lower, pattern) === null ? [] : [pattern];
  const directory = pattern.slice(0, pattern.lastIndexOf('/'));
  const dir: Ino | null = dirAt(lower, directory);
  if (dir === null) return [];
  return [...entriesOf(lower, dir)]
    .filter(({ record }) => isReg(record.mode))
    .map(({ name }) => `${directory}/${name satisfies Name}`)
    .filter((path) => registryFormat(path) !== null);
}

function mergeOne(store: Store, parts: StackParts, path: string, notes: string[]): string | null {
  const { os, apps } = parts;
  const format = registryFormat(path)!;
  const changed: AppPart[] = [];
  let ours = contentAt(store, os.lower, path);
  for (const app of apps) {
    const theirs = contentAt(store, app.lower, path);
    if (theirs === null) continue;
    const base = contentAt(store, app.base, path);
    const merged = mergeKeyed(format, { base, ours, theirs, prefer: 'theirs' });
    for (const conflict of merged.conflicts) {
      const other =
        changed.findLast((each) => hasKey(store, each, path, conflict))?.name ?? os.name;
      if (STRICT.has(path)) throw differs(path, conflict, other, app.name);
      if (!SILENT.test(path)) notes.push(upperDecides(path, conflict, other, app.name));
    }
    ours = merged.content;
    changed.push(app);
  }
  return ours;
}

/** Returns true if the app has that text, and what it was installed on does not. */
function hasKey(store: Store, app: AppPart, path: string, { ours }: KeyConflict): boolean {
  if (ours === null) return false;
  const has = (lower: LowerTree): boolean => contentAt(store, lower, path)?.includes(ours) === true;
  return has(app.lower) && !has(app.base);
}

const upperDecides = (path: string, { key }: KeyConflict, lower: string, upper: string): string =>
  `${lower} and ${upper} have ${key} differently (${path}); that of ${upper}, which is on top, counts`;

const differs = (path: string, { key }: KeyConflict, a: string, b: string): ByrefError =>
  new ByrefError(
    'badInput',
    `${a} and ${b} can't be in one env: they have ${key} differently (${path})`,
    'Leave one of them out, or build it again after a change.',
  );

/** Refuses two names with one number: they would be one account. */
function refuseSharedNumbers(
  store: Store,
  { os, apps }: StackParts,
  contents: ReadonlyMap<string, string | null>,
): void {
  const content = (lower: LowerTree | null, path: string): string =>
    (lower === null ? contents.get(path) : contentAt(store, lower, path)) ?? '';
  const accounts = (lower: LowerTree | null) =>
    accountsOf(content(lower, PASSWD), content(lower, GROUP));
  if (!contents.has(PASSWD) && !contents.has(GROUP)) return;
  const all = accounts(null);
  const own = [os, ...apps].map(({ name, lower }) => ({ name, ...accounts(lower) }));
  const known = own[0]!;
  const owner = (what: 'users' | 'groups', name: string): string =>
    own.find((part) => part[what].some((each) => each.name === name))?.name ?? os.name;
  const check = (what: 'users' | 'groups', ids: readonly { name: string; id: number }[]): void => {
    const first = new Map<number, string>();
    for (const { name, id } of ids) {
      const other = first.get(id);
      first.set(id, other ?? name);
      // Two names with one number in the distribution itself (toor) are intended.
      const inOs = (each: string): boolean => known[what].some((known) => known.name === each);
      if (other === undefined || other === name || (inOs(other) && inOs(name))) continue;
      const word = what === 'users' ? 'user' : 'group';
      const message = `${owner(what, other)} and ${owner(what, name)} can't be in one env: ${word}s ${other} and ${name} both have number ${id}`;
      throw new ByrefError(
        'badInput',
        message,
        'Give one of them another number, and build it again.',
      );
    }
  };
  check(
    'users',
    all.users.map(({ name, uid }) => ({ name, id: uid })),
  );
  check(
    'groups',
    all.groups.map(({ name, gid }) => ({ name, id: gid })),
  );
}
