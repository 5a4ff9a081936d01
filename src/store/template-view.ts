/**
 * Reads one template as of one version, through a cache. A (template, version) never changes, so what was read
 * stays right for as long as it is kept, and all envs of the process share it.
 */
import type { Ino, Name } from '../base/ids.ts';
import { ROOT_INO } from '../base/ids.ts';
import { COOKIE_DOTDOT, COOKIE_START } from '../base/name-hash.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import { decodeInodeNames, decodeNumber, type InodeNames } from '../codec/store-rows.ts';
import type { LowerEntry } from '../driver/core/ports.ts';
import { inoKey, templateDirIno, templateDirKey } from './keys.ts';
import { ABOVE_ROOT, readLink, scanLinks } from './link-rows.ts';
import type { CachedRows, RowBudget } from './row-budget.ts';
import type { Tables } from './tables.ts';

/** Directories of up to this many names are kept whole after they were listed. */
const WHOLE_MAX = 4096;
/**
 * Directories of up to this many names are also read whole after WHOLE_AT_MISS lookups in vain. Most names that
 * are asked for in an OS directory are not in an app's, and would be read and kept as absent one by one. Not
 * sooner: reading the directory takes as long as about that many lookups.
 */
const WHOLE_AT_MISS_MAX = 128;
const WHOLE_AT_MISS = 16;

/** The rows read of one directory: the names looked up so far, or (`whole`) all of its names, in order. */
class DirRows implements CachedRows {
  used = false;
  names: Map<Name, InodeRecord | null> | null = null;
  whole: readonly LowerEntry[] | null = null;
  misses = 0;
  /** The directory has too many names to be kept whole; remembered, so that no later listing reads ahead in vain. */
  large = false;

  get rows(): number {
    return this.names?.size ?? 0;
  }

  evict(): void {
    this.names = null;
    this.whole = null;
    this.misses = 0;
  }
}

/** One template at one version, with what was read of it. */
export class TemplateView {
  readonly template: number;
  readonly version: number;
  readonly root: InodeRecord | null;
  private readonly tables: Tables;
  private readonly budget: RowBudget;
  /** Every directory that the template has at this version, or had in an earlier one. */
  private readonly dirs = new Map<Ino, DirRows>();

  constructor(tables: Tables, budget: RowBudget, template: number, version: number) {
    this.tables = tables;
    this.budget = budget;
    this.template = template;
    this.version = version;
    const start = templateDirKey(template, 0 as Ino);
    const end = templateDirKey(template + 1, 0 as Ino);
    for (const { key, value } of tables.table('templateDirs').getRange({ start, end })) {
      if (decodeNumber(value) <= version) this.dirs.set(templateDirIno(key), new DirRows());
    }
    this.root = readLink(tables.table('links'), template, version, ABOVE_ROOT, '');
  }

  /** Returns false if the template certainly has nothing in `dir`. */
  touches(dir: Ino): boolean {
    return this.dirs.has(dir);
  }

  lookup(dir: Ino, name: Name): InodeRecord | null {
    const rows = this.dirs.get(dir);
    if (rows === undefined) return null;
    rows.used = true;
    const known = rows.names?.get(name);
    if (known !== undefined) return known;
    if (rows.whole !== null) return null;
    const { template, version } = this;
    const record = readLink(this.tables.table('links'), template, version, dir, name);
    if (record === null && this.readIfSmall(dir, rows)) return null;
    const first = rows.names === null;
    rows.names ??= new Map();
    rows.names.set(name, record);
    this.budget.charge(rows, 1, first);
    return record;
  }

  /** Lists names as LowerTree.list does, of this template alone. */
  list(dir: Ino, after: number, max: number): readonly LowerEntry[] {
    const rows = this.dirs.get(dir);
    if (rows === undefined) return [];
    rows.used = true;
    if (rows.whole !== null) return slice(rows.whole, after, max);
    // A listing begins behind "." and "..", which no template has: all names are still to come there.
    if (after > COOKIE_DOTDOT || rows.large) return this.scan(dir, after, max);
    const all = this.scan(dir, COOKIE_START, WHOLE_MAX + 1);
    if (all.length > WHOLE_MAX) {
      rows.large = true;
      return slice(all, COOKIE_START, max);
    }
    this.keepWhole(rows, all);
    return slice(all, after, max);
  }

  /**
   * Counts one more lookup in vain, and reads a small directory whole when there were enough; true if all of it
   * is known now.
   */
  private readIfSmall(dir: Ino, rows: DirRows): boolean {
    if (++rows.misses !== WHOLE_AT_MISS) return false;
    const all = this.scan(dir, COOKIE_START, WHOLE_AT_MISS_MAX + 1);
    if (all.length <= WHOLE_AT_MISS_MAX) this.keepWhole(rows, all);
    return rows.whole !== null;
  }

  private scan(dir: Ino, after: number, max: number): LowerEntry[] {
    return scanLinks(this.tables.table('links'), this.template, this.version, dir, after, max);
  }

  private keepWhole(rows: DirRows, all: readonly LowerEntry[]): void {
    const first = rows.names === null;
    const before = rows.rows;
    const names = new Map<Name, InodeRecord | null>();
    for (const { name, record } of all) names.set(name, record);
    rows.names = names;
    rows.whole = all;
    this.budget.charge(rows, names.size - before, first);
  }

  /** Returns the record of `ino` if this version still has the file under one of its names; else null. */
  file(ino: Ino, row: InodeNames): InodeRecord | null {
    for (const { dir, name } of row.names) {
      const record = this.lookup(dir, name);
      if (record?.ino === ino) return record;
    }
    return null;
  }

  /** Returns those of the file's names that it has in this version. */
  namesOf(ino: Ino, row: InodeNames): { dir: Ino; name: Name }[] {
    return row.names.filter(({ dir, name }) => this.lookup(dir, name)?.ino === ino);
  }
}

/** Returns the row that says which template's file `ino` is; null for a directory's ino, or an unknown one. */
export function inodeNames(tables: Tables, ino: Ino): InodeNames | null {
  if (ino === ROOT_INO) return null;
  const row = tables.table('inodes').get(inoKey(ino));
  return row === undefined ? null : decodeInodeNames(row);
}

/** Returns the entries above `after`: at most `max`, but entries that share a cookie are never separated. */
function slice(all: readonly LowerEntry[], after: number, max: number): readonly LowerEntry[] {
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (all[middle]!.cookie <= after) low = middle + 1;
    else high = middle;
  }
  let end = Math.min(low + max, all.length);
  while (end > low && end < all.length && all[end]!.cookie === all[end - 1]!.cookie) end++;
  return low === 0 && end === all.length ? all : all.slice(low, end);
}
