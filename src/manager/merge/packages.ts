/** The packages in dpkg's status file, and which of them an env has otherwise than its templates. */
import { fieldsOf, splitStanzas } from './stanzas.ts';

/** One stanza of the status file: see dpkg-query(1) for the words of `want` and `state`. */
export interface PackageRecord {
  /** As DPKG_STATUS names it: NAME, or NAME:ARCHITECTURE where several architectures may be there. */
  readonly key: string;
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
  /** What its administrator wants: install, hold, deinstall, purge. */
  readonly want: string;
  /** installed, config-files (removed, its configuration is left), unpacked, ... */
  readonly state: string;
  readonly stanza: string;
}

/** By key, in the file's order. */
export type Packages = ReadonlyMap<string, PackageRecord>;

/** Hundreds of envs have the same stanzas: each is taken apart once. */
const known = new Map<string, PackageRecord | null>();
const KNOWN_MAX = 20_000;

/** The packages of a status file's content; null, or a stanza that is none of a package, has none. */
export function packagesOf(status: string | null): Packages {
  const packages = new Map<string, PackageRecord>();
  if (status === null) return packages;
  for (const stanza of splitStanzas(status)) {
    let record = known.get(stanza);
    if (record === undefined) {
      record = packageOf(stanza);
      if (known.size >= KNOWN_MAX) known.clear();
      known.set(stanza, record);
    }
    if (record !== null) packages.set(record.key, record);
  }
  return packages;
}

function packageOf(stanza: string): PackageRecord | null {
  const values = new Map<string, string>();
  for (const { key, text } of fieldsOf(stanza)) {
    values.set(
      key,
      text
        .slice(text.indexOf(':') + 1)
        .split('\n', 1)[0]!
        .trim(),
    );
  }
  const name = values.get('package');
  if (name === undefined) return null;
  const [want = '', , state = ''] = (values.get('status') ?? '').split(' ');
  const architecture = values.get('architecture') ?? '';
  const isMultiple = values.get('multi-arch') === 'same';
  return {
    key: isMultiple ? `${name}:${architecture}` : name,
    name,
    architecture,
    version: values.get('version') ?? '',
    want,
    state,
    stanza,
  };
}

/** True if its files are there: not of one that was removed, of which only configuration is left. */
export const isPresent = (record: PackageRecord | null | undefined): record is PackageRecord =>
  record !== null && record !== undefined && !ABSENT.has(record.state);

const ABSENT: ReadonlySet<string> = new Set(['not-installed', 'config-files', '']);
/** States in which a package works; the others are in the middle of an installation that broke off. */
const FINISHED: ReadonlySet<string> = new Set([
  'installed',
  'triggers-awaited',
  'triggers-pending',
]);

/** Why a package is an env's own. unfinished: an installation in the env broke off. needed: another package of the env's own needs it so. */
export type OwnReason = 'version' | 'removed' | 'held' | 'unfinished' | 'needed';

/** A package that an env has otherwise than its templates: all of it stays as it is in the env. */
export interface OwnPackage {
  readonly name: string;
  readonly why: OwnReason;
  /** The env's version; null: it has removed it, or never had it. */
  readonly own: string | null;
  /** The version of the templates; null: they do not have it. */
  readonly template: string | null;
  /** needed: the package that it stays for, with its version: "libx-dev 1". */
  readonly for?: string;
}

/** The three sides of an env's step from one stack of templates to another. */
export interface PackageSides {
  /** Of the stack that it leaves. */
  readonly base: Packages;
  /** The env's own. */
  readonly ours: Packages;
  /** Of the stack that it goes to. */
  readonly theirs: Packages;
}

/**
 * The packages that stay the env's own, by key. All others follow the templates: those that the env has as the stack that it leaves
 * has them, or as the one that it goes to.
 * @param taken names of packages that are to follow all the same
 */
export function ownPackages(
  { base, ours, theirs }: PackageSides,
  taken: ReadonlySet<string> = new Set(),
): Map<string, OwnPackage> {
  const own = new Map<string, OwnPackage>();
  const keys = new Map([...base, ...theirs, ...ours].map(([key, { name }]) => [key, name]));
  for (const [key, name] of keys) {
    if (taken.has(name)) continue;
    const [b, o, t] = [base, ours, theirs].map((side) => recordOf(side, key, name));
    const why = reasonOf(b!, o!, t!);
    if (why === null) continue;
    const version = (record: PackageRecord | null): string | null =>
      isPresent(record) ? record.version : null;
    own.set(key, { name, why, own: version(o!), template: version(t!) });
  }
  return own;
}

/** A package's record on one side, also where that side names it otherwise: it became `Multi-Arch: same`, or is not any more. */
function recordOf(side: Packages, key: string, name: string): PackageRecord | null {
  const found = side.get(key) ?? side.get(name);
  if (found !== undefined || key !== name) return found ?? null;
  for (const record of side.values()) if (record.name === name) return record;
  return null;
}

/** null: it follows. */
function reasonOf(
  base: PackageRecord | null,
  ours: PackageRecord | null,
  theirs: PackageRecord | null,
): OwnReason | null {
  if (!isPresent(base) && !isPresent(theirs)) return null;
  // Where the templates did not have it either, the env is as they were: what they get, it gets.
  if (!isPresent(ours)) return isPresent(base) ? 'removed' : null;
  const isAs = (record: PackageRecord | null): boolean =>
    isPresent(record) &&
    record.version === ours.version &&
    record.architecture === ours.architecture;
  if (!FINISHED.has(ours.state)) return 'unfinished';
  if (isAs(theirs)) return null;
  if (ours.want === 'hold') return 'held';
  return isAs(base) ? null : 'version';
}

/** As people read it: "hello 3.0 (template: 4.0)". */
export function ownText(each: OwnPackage): string {
  const { name, why, own, template } = each;
  const absent = why === 'needed' ? 'absent' : 'removed';
  const version = own === null ? `${name} ${absent}` : `${name} ${own}`;
  return `${version} (${reasonText(each)}template: ${template ?? 'none'})`;
}

function reasonText({ why, for: other }: OwnPackage): string {
  switch (why) {
    case 'held':
      return 'held; ';
    case 'unfinished':
      return 'its installation broke off; ';
    case 'needed':
      return `for ${other ?? 'a package of its own'}; `;
    case 'version':
    case 'removed':
      return '';
  }
}
