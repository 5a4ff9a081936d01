/**
 * Keeps a merge from changing the records, in shared system files, of packages that are an env's own: the
 * templates' new records of them are replaced by those of the merge's base, so that the env's stay.
 */
import type { KeyedFormat, KeyedRecord } from './format.ts';
import {
  isPresent,
  type OwnPackage,
  type PackageRecord,
  packagesOf,
  STATUS_PATH,
} from './packages.ts';
import { fieldOf, splitStanzas } from './stanzas.ts';

/** The packages of an env's own, and their paths. */
export interface OwnRecords {
  /** By key, as in the status file. */
  readonly packages: ReadonlyMap<string, Pick<OwnPackage, 'name'>>;
  /** Returns true for paths of their files. */
  hasPath(path: string): boolean;
}

/** The contents that the templates of both stacks have; null if there is no such file. */
export interface TemplateSides {
  readonly base: string | null;
  readonly theirs: string | null;
}

/** Returns `theirs` with the changes to own packages left out. @param path of the file, absolute */
export function withoutOwnRecords(
  format: KeyedFormat,
  path: string,
  { base, theirs }: TemplateSides,
  own: OwnRecords,
): string | null {
  const isOwn = ownerTest(path, own);
  if (isOwn === null || own.packages.size === 0 || theirs === base) return theirs;
  const [was, is] = [base, theirs].map((side) => (side === null ? [] : format.parse(side)));
  if (!was || !is) return theirs;
  const kept = [...is.filter((record) => !isOwn(record)), ...was.filter(isOwn)];
  return kept.length === 0 && theirs === null ? null : format.render(kept);
}

/**
 * Returns a `base` with which the templates' records win for packages that follow again: it has the env's
 * records of them, so that they do not count as the env's changes.
 * @param ours the env's content
 */
export function withReleased(
  format: KeyedFormat,
  path: string,
  base: string | null,
  ours: string | null,
  released: OwnRecords,
): string | null {
  const isReleased = released.packages.size === 0 ? null : ownerTest(path, released);
  if (isReleased === null) return base;
  const [was, mine] = [base, ours].map((side) => (side === null ? [] : format.parse(side)));
  if (!was || !mine) return base;
  return format.render([...was.filter((each) => !isReleased(each)), ...mine.filter(isReleased)]);
}

/** Returns a test for records of own packages; null if this file can't have any. */
function ownerTest(path: string, own: OwnRecords): ((record: KeyedRecord) => boolean) | null {
  const names = new Set([...own.packages.values()].map(({ name }) => name));
  if (path === STATUS_PATH || path === '/var/lib/dpkg/available') {
    return ({ key }) => own.packages.has(key.slice(1)) || names.has(key.slice(1));
  }
  if (path === '/var/lib/apt/extended_states') {
    return ({ text }) => names.has(fieldOf(text, 'Package') ?? '');
  }
  if (path === '/var/lib/dpkg/diversions') {
    return ({ text }) => names.has(text.split('\n')[2] ?? '');
  }
  if (path.startsWith('/var/lib/dpkg/alternatives/')) {
    return ({ key }) => key.startsWith('choice ') && own.hasPath(key.slice('choice '.length));
  }
  if (path.startsWith('/var/lib/dpkg/triggers/')) {
    return ({ text }) => isTriggerOf(names, text);
  }
  if (path === '/var/lib/ucf/registry') return ({ text }) => names.has(text.split(/\s/)[0] ?? '');
  return null;
}

/**
 * Tests a line of a trigger file: explicit triggers list packages by themselves, File lists PATH PACKAGE; both
 * may add /noawait.
 */
function isTriggerOf(names: ReadonlySet<string>, line: string): boolean {
  const last = line.trim().split(/\s+/).at(-1) ?? '';
  return names.has(last.replace(/\/noawait$/, '').replace(/:[^:]*$/, ''));
}

/**
 * Returns sides of the status file with which each package that follows gets the templates' record, even if the
 * env's record differs from the base: it has that version already, or dpkg noted something else about its
 * conffiles. What the env's administrator wants of the package stays.
 */
export function followingStatus(
  { base, theirs }: TemplateSides,
  ours: string | null,
  own: ReadonlyMap<string, OwnPackage>,
): TemplateSides {
  const [was, mine, is] = [packagesOf(base), packagesOf(ours), packagesOf(theirs)];
  const bases = new Map<string, string | null>();
  const others = new Map<string, string | null>();
  for (const key of new Set([...was.keys(), ...is.keys()])) {
    const stanza = mine.get(key)?.stanza ?? null;
    if (own.has(key) || was.get(key)?.stanza === stanza) continue;
    const next = is.get(key) ?? null;
    bases.set(key, stanza);
    others.set(key, next === null ? null : withWant(next, mine.get(key) ?? null));
  }
  if (bases.size === 0) return { base, theirs };
  return { base: withStanzas(base, bases), theirs: withStanzas(theirs, others) };
}

function withWant({ stanza }: PackageRecord, mine: PackageRecord | null): string {
  return isPresent(mine) ? stanza.replace(/^(Status:\s*)\S+/m, `$1${mine.want}`) : stanza;
}

/** Returns the status file with the stanzas of some packages replaced. @param stanzas by key; null removes one */
export function withStanzas(
  content: string | null,
  stanzas: ReadonlyMap<string, string | null>,
): string {
  const left = new Map(stanzas);
  const keys = new Map([...packagesOf(content).values()].map(({ key, stanza }) => [stanza, key]));
  const kept = splitStanzas(content ?? '').flatMap((stanza) => {
    const key = keys.get(stanza);
    if (key === undefined || !stanzas.has(key)) return [stanza];
    left.delete(key);
    return stanzas.get(key) ?? [];
  });
  const added = [...left.values()].filter((stanza) => stanza !== null);
  return [...kept, ...added].map((text) => `${text}\n\n`).join('');
}
