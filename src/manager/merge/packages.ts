/** Reads the packages in dpkg's status file, and finds those that an env has differently from its templates. */
import { fieldsOf, splitStanzas } from './stanzas.ts';

/** The path of dpkg's status file. */
export const STATUS_PATH = '/var/lib/dpkg/status';

/** One stanza of the status file; dpkg-query(1) explains the words of `want` and `state`. */
export interface PackageRecord {
  /** The key in DPKG_STATUS: NAME, or NAME:ARCHITECTURE where several architectures may be installed. */
  readonly key: string;
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
  /** What the administrator wants: install, hold, deinstall, purge. */
  readonly want: string;
  /** For instance installed, config-files (removed, but its configuration is left), unpacked. */
  readonly state: string;
  readonly stanza: string;
}

/** Packages by key, in the file's order. */
export type Packages = ReadonlyMap<string, PackageRecord>;

/** Parsed stanzas: hundreds of envs have the same ones, so each is parsed once. */
const known = new Map<string, PackageRecord | null>();
const KNOWN_MAX = 20_000;

/** Returns the packages of a status file's content; none for null. Stanzas that are not packages are skipped. */
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

/** Returns true if a package's files are installed; false for one that was removed and left only configuration. */
export const isPresent = (record: PackageRecord | null | undefined): record is PackageRecord =>
  record !== null && record !== undefined && !ABSENT.has(record.state);

const ABSENT: ReadonlySet<string> = new Set(['not-installed', 'config-files', '']);
/** States of a package that works; in all others an installation was interrupted. */
const FINISHED: ReadonlySet<string> = new Set([
  'installed',
  'triggers-awaited',
  'triggers-pending',
]);

/**
 * Why a package is an env's own. unfinished: an installation in the env was interrupted. needed: another
 * package of the env's own needs it as it is.
 */
export type OwnReason = 'version' | 'removed' | 'held' | 'unfinished' | 'needed';

/** A package that differs between an env and its templates: all of it stays as it is in the env. */
export interface OwnPackage {
  readonly name: string;
  readonly why: OwnReason;
  /** The env's version; null if the env removed it or never had it. */
  readonly own: string | null;
  /** The templates' version; null if they do not have it. */
  readonly template: string | null;
  /** needed: the package for which it stays, with its version: "libx-dev 1". */
  readonly for?: string;
}

/** The packages on the three sides of an env's step from one stack to another. */
export interface PackageSides {
  /** In the stack that the env leaves. */
  readonly base: Packages;
  /** In the env itself. */
  readonly ours: Packages;
  /** In the stack that it goes to. */
  readonly theirs: Packages;
}

/**
 * Returns the packages that stay the env's own, by key. All others follow the templates: the env has them as
 * one of the two stacks does.
 * @param taken names of packages that follow in any case
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

/**
 * Returns a package's record on one side, even if that side names it differently because it became, or no
 * longer is, `Multi-Arch: same`.
 */
function recordOf(side: Packages, key: string, name: string): PackageRecord | null {
  const found = side.get(key) ?? side.get(name);
  if (found !== undefined || key !== name) return found ?? null;
  for (const record of side.values()) if (record.name === name) return record;
  return null;
}

/** Returns why a package is the env's own; null if it follows. */
function reasonOf(
  base: PackageRecord | null,
  ours: PackageRecord | null,
  theirs: PackageRecord | null,
): OwnReason | null {
  if (!isPresent(base) && !isPresent(theirs)) return null;
  // If the templates did not have it either, the env is as they were, and gets what they get.
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

/** Describes an own package for people: "hello 3.0 (template: 4.0)". */
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
