/**
 * Parses what an administrator told dpkg about single paths: diversions, attributes, and paths that it does not
 * unpack.
 */
import { splitLines } from './lines.ts';

/** The file in which dpkg-divert(1) keeps diversions. */
export const DIVERSIONS_PATH = '/var/lib/dpkg/diversions';
/** The file in which dpkg-statoverride(1) keeps overrides. */
export const STATOVERRIDE_PATH = '/var/lib/dpkg/statoverride';

/**
 * A diversion (dpkg-divert(1)): all packages but one have the file at another path. Paths are absolute, binary
 * strings.
 */
export interface Diversion {
  readonly from: string;
  readonly to: string;
  /** The package whose file is not diverted; null for a local diversion, which applies to all packages. */
  readonly by: string | null;
}

/** Returns the diversions; none for a damaged file, with which dpkg would not work either. */
export function diversionsOf(content: string | null): Diversion[] {
  const lines = splitLines(content ?? '');
  const found: Diversion[] = [];
  for (let at = 0; at + 2 < lines.length; at += 3) {
    const [from, to, by] = lines.slice(at, at + 3) as [string, string, string];
    found.push({ from, to, by: by === ':' ? null : by });
  }
  return lines.length % 3 === 0 ? found : [];
}

/**
 * Attributes set for a path (dpkg-statoverride(1)). User and group are names, or "#" and a number; the mode has
 * no type bits.
 */
export interface Override {
  readonly user: string;
  readonly group: string;
  readonly mode: number;
  readonly path: string;
}

/** Returns the overrides; lines that are not valid are skipped. */
export function overridesOf(content: string | null): Override[] {
  return splitLines(content ?? '').flatMap((line) => {
    const [, user, group, mode, path] = /^(\S+) (\S+) ([0-7]+) (\/.*)$/s.exec(line) ?? [];
    if (user === undefined || group === undefined || mode === undefined || path === undefined)
      return [];
    return [{ user, group, mode: Number.parseInt(mode, 8) & 0o7777, path }];
  });
}

/**
 * Returns the number of a user or group from the content of /etc/passwd or /etc/group; null if there is none of
 * that name.
 */
export function accountId(name: string, content: string | null): number | null {
  if (name.startsWith('#')) return Number(name.slice(1));
  const line = splitLines(content ?? '').find((each) => each.startsWith(`${name}:`));
  const id = Number(line?.split(':')[2] ?? Number.NaN);
  return Number.isInteger(id) ? id : null;
}

/** A `path-exclude` or `path-include` in dpkg.cfg. */
export interface PathFilter {
  readonly pattern: string;
  readonly include: boolean;
}

/** Returns the filters. @param contents dpkg's configuration files, in the order in which dpkg reads them */
export function filtersOf(contents: readonly string[]): PathFilter[] {
  return contents.flatMap(splitLines).flatMap((line) => {
    const [, what, rest] = /^path-(exclude|include)(?:[=\s]\s*)(.*?)\s*$/s.exec(line) ?? [];
    if (what === undefined || rest === undefined) return [];
    const pattern = /^"(.*)"$/s.exec(rest)?.[1] ?? /^'(.*)'$/s.exec(rest)?.[1] ?? rest;
    return [{ pattern, include: what === 'include' }];
  });
}

/** Returns true for names of files that dpkg reads in dpkg.cfg.d, and false for an editor's backup, for instance. */
export const isConfigName = (name: string): boolean => /^[A-Za-z0-9_-]+$/.test(name);

/** Tells for each path whether dpkg leaves it packed. The last filter that matches decides. */
export class PathFilters {
  private readonly filters: readonly (PathFilter & { readonly matches: RegExp })[];

  constructor(filters: readonly PathFilter[]) {
    this.filters = filters.map((each) => ({ ...each, matches: globRegExp(each.pattern) }));
  }

  /**
   * Returns true if dpkg does not unpack the path.
   * @param mayLead true for a directory or a symlink: it is unpacked if something below it may be included
   */
  excludes(path: string, mayLead: boolean): boolean {
    const last = this.filters.findLast(({ matches }) => matches.test(path));
    if (last === undefined || last.include) return false;
    return !mayLead || !this.filters.some((each) => each.include && beginsIn(each.pattern, path));
  }
}

/** Guesses as dpkg does: the path begins like the pattern, up to its first wildcard. */
function beginsIn(pattern: string, path: string): boolean {
  const fixed = /^[^*?[\\]*/.exec(pattern)![0].replace(/\/+$/, '');
  return path.startsWith(fixed);
}

/**
 * Translates a pattern of fnmatch(3) without flags: wildcards match "/", too. A bracket that is not closed
 * stands for itself.
 */
function globRegExp(pattern: string): RegExp {
  const parts = pattern.matchAll(/\\(.)|\[([!^]?)(\]?(?:\[:\w+:\]|[^\]])*)\]|([\s\S])/gs);
  const translated = [...parts].map(([, escaped, not, set, one]) => {
    if (escaped !== undefined) return literal(escaped);
    if (set !== undefined) return `[${not === '' ? '' : '^'}${classOf(set)}]`;
    if (one === '*') return '[\\s\\S]*';
    return one === '?' ? '[\\s\\S]' : literal(one!);
  });
  return new RegExp(`^${translated.join('')}$`);
}

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

const CLASSES: Readonly<Record<string, string>> = {
  alnum: 'A-Za-z0-9',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  space: '\\s',
  upper: 'A-Z',
};

/** Translates the set between brackets; ranges stay as they are. */
const classOf = (set: string): string =>
  set.replace(/\[:(\w+):\]|[\\\]^[]/g, (all, name?: string) => CLASSES[name ?? ''] ?? `\\${all}`);
