import type { Ino, Name } from '../../base/ids.ts';
import { nameCookie } from '../../base/name-hash.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { DeltaEntry } from '../core/ports.ts';

/** About how much memory a changed name or inode takes, in bytes. */
export const RECORD_BYTES = 700;
/** About how much an extended attribute takes, besides its name and value. */
const XATTR_BYTES = 200;

/** The last change of one name: set (to an inode or a whiteout), or cleared if not `present`. */
export class NameState implements DeltaEntry {
  readonly dir: Ino;
  readonly name: Name;
  readonly ino: Ino | 0;
  readonly type: number;
  readonly present: boolean;
  #cookie: number;

  /** @param cookie nameCookie(name) if known, else -1 */
  constructor(dir: Ino, name: Name, ino: Ino | 0, type: number, present: boolean, cookie = -1) {
    this.dir = dir;
    this.name = name;
    this.ino = ino;
    this.type = type;
    this.present = present;
    this.#cookie = cookie;
  }

  /** Computed at the first use: most names are never listed from memory. */
  get cookie(): number {
    if (this.#cookie < 0) this.#cookie = nameCookie(this.name);
    return this.#cookie;
  }
}

/** Orders names by cookie, then name, as the link table's keys are. */
export function compareEntries(a: DeltaEntry, b: DeltaEntry): number {
  if (a.cookie !== b.cookie) return a.cookie - b.cookie;
  return a.name < b.name ? -1 : a.name === b.name ? 0 : 1;
}

/**
 * The names of one directory in memory. They are sorted only when first listed, and then kept sorted by merging in
 * what was added since. A name that is set again or cleared keeps its place in the order.
 */
export class DirNames {
  readonly states = new Map<Name, NameState>();
  #order: NameState[] = [];
  #added: NameState[] = [];

  set(state: NameState): void {
    const { size } = this.states;
    this.states.set(state.name, state);
    if (this.states.size > size) this.#added.push(state);
  }

  /** Returns one state per name, in order. It may have been superseded: see `states`. */
  ordered(): readonly NameState[] {
    if (this.#added.length > 0) {
      this.#added.sort(compareEntries);
      const last = this.#order.at(-1);
      // `rm -rf` clears names in the order in which it lists them, so each is added at the end.
      if (last === undefined || compareEntries(last, this.#added[0]!) < 0) {
        for (const state of this.#added) this.#order.push(state);
      } else {
        this.#order = merge(this.#order, this.#added);
      }
      this.#added = [];
    }
    return this.#order;
  }
}

function merge(a: readonly NameState[], b: readonly NameState[]): NameState[] {
  const out = new Array<NameState>(a.length + b.length);
  for (let i = 0, j = 0, n = 0; n < out.length; n++) {
    const fromA = j === b.length || (i < a.length && compareEntries(a[i]!, b[j]!) < 0);
    out[n] = fromA ? a[i++]! : b[j++]!;
  }
  return out;
}

/**
 * A set of mutations in memory, keyed by what they change: only the last one for each name and inode counts. One
 * generation is `active` and takes new changes; while a checkpoint runs, another is `frozen`.
 */
export class Generation {
  readonly dirs = new Map<Ino, DirNames>();
  /** The last record of each inode; null if it was cleared. */
  readonly inodes = new Map<Ino, InodeRecord | null>();
  #names = 0;
  /** What the inodes count beyond one each. */
  #extra = 0;

  /** The number of names and inodes that it holds; a long one counts as the several that would take as much memory. */
  get size(): number {
    return this.#names + this.inodes.size + this.#extra;
  }

  name(dir: Ino, name: Name): NameState | undefined {
    return this.dirs.get(dir)?.states.get(name);
  }

  setName(state: NameState): void {
    let names = this.dirs.get(state.dir);
    if (names === undefined) {
      names = new DirNames();
      this.dirs.set(state.dir, names);
    }
    const before = names.states.size;
    names.set(state);
    this.#names += names.states.size - before;
  }

  setInode(ino: Ino, record: InodeRecord | null): void {
    this.#extra += extraOf(record) - extraOf(this.inodes.get(ino) ?? null);
    this.inodes.set(ino, record);
  }
}

/** Returns how many records of usual length the long parts of a record take the memory of. */
function extraOf(record: InodeRecord | null): number {
  if (record === null || (record.target === '' && record.xattrs === null)) return 0;
  let bytes = record.target.length;
  for (const [name, value] of record.xattrs ?? [])
    bytes += XATTR_BYTES + name.length + value.length;
  return Math.floor(bytes / RECORD_BYTES);
}
