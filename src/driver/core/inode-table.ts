import { ESTALE } from '../../base/errno.ts';
import { type Ino, inoOf, isPrivateIno, type Name, type NodeId, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { withColdXattrs } from './cold-xattrs.ts';
import type { Entries } from './entries.ts';
import { Inode } from './inode.ts';
import type { Delta, LowerTree } from './ports.ts';

/**
 * The inodes the kernel holds references to, by ino. All else is loaded when asked for: a nodeid is
 * derived from the ino, so nothing but reference counts would be lost with this table.
 */
export class InodeTable {
  /** Inodes that were looked up longer ago come first, as far as Entries.isScarce. */
  readonly #byIno = new Map<Ino, Inode>();
  readonly #layers: LowerTree;
  readonly #delta: Delta;
  readonly #entries: Entries;

  constructor(layers: LowerTree, delta: Delta, entries: Entries) {
    this.#layers = layers;
    this.#delta = delta;
    this.#entries = entries;
  }

  get size(): number {
    return this.#byIno.size;
  }

  values(): IterableIterator<Inode> {
    return this.#byIno.values();
  }

  /** The inode of a nodeid the kernel sent, or -ESTALE if there is no such file any more. */
  get(node: NodeId): Inode | number {
    return this.#byIno.get(inoOf(node)) ?? this.load(inoOf(node)) ?? -ESTALE;
  }

  /** The inode by its number; null if no name leads to it and it is not open. */
  load(ino: Ino): Inode | null {
    const known = this.#byIno.get(ino);
    if (known !== undefined) return known;
    const own = this.#delta.inode(ino);
    if (own !== null) return this.#add(ino, this.recounted(own), true);
    const record = isPrivateIno(ino) ? null : this.#layers.inode(ino);
    if (record === null || !this.#isLinked(record)) return null;
    return this.#add(ino, this.counted(record), false);
  }

  /**
   * The inode of a template's record, as found under a name that the delta does not change.
   * @param gone the older layers that it was found in, in a directory that is gone; else null
   */
  adopt(record: InodeRecord, gone: LowerTree | null): Inode {
    const known = this.#byIno.get(record.ino);
    if (known !== undefined) return known;
    const own = this.#delta.inode(record.ino);
    if (gone !== null) return this.#addGone(own ?? record, own !== null, gone);
    if (own !== null) return this.#add(record.ino, this.recounted(own), true);
    return this.#add(record.ino, this.counted(record), false);
  }

  /** The inode, if the kernel knows it or an operation works on it. */
  peek(ino: Ino): Inode | null {
    return this.#byIno.get(ino) ?? null;
  }

  /** An inode that did not exist before. */
  add(record: InodeRecord): Inode {
    return this.#add(record.ino, record, true);
  }

  drop(inode: Inode): void {
    if (this.#byIno.delete(inode.ino)) this.#entries.give();
  }

  /** The kernel looked it up: it is the last to be given up. */
  touch(inode: Inode): void {
    if (this.#byIno.delete(inode.ino)) this.#byIno.set(inode.ino, inode);
  }

  /**
   * Looks at inodes, least recently looked up first; each goes to the end of the line. Returns how many those were.
   * @param max at most this many
   * @param look false: enough
   */
  oldest(max: number, look: (inode: Inode) => boolean): number {
    const seen: Inode[] = [];
    for (const inode of this.#byIno.values()) {
      seen.push(inode);
      if (!look(inode) || seen.length === max) break;
    }
    for (const inode of seen) this.touch(inode);
    return seen.length;
  }

  clear(): void {
    this.#byIno.clear();
  }

  /** What a directory of this ino keeps as `stamp` with its link count. */
  stampOf(dir: Ino): number {
    return isPrivateIno(dir) ? 0 : this.#layers.stamp;
  }

  #addGone(record: InodeRecord, inDelta: boolean, gone: LowerTree): Inode {
    const inode = this.#add(record.ino, { ...record, nlink: 0 }, inDelta);
    inode.gone = gone;
    return inode;
  }

  #add(ino: Ino, record: InodeRecord, inDelta: boolean): Inode {
    const kept = inDelta ? withColdXattrs(record, this.#delta) : record;
    const inode = new Inode(ino, kept, inDelta);
    this.#byIno.set(ino, inode);
    this.#entries.take();
    return inode;
  }

  /** What the env has removed under all its template names is gone, though its row is still there. */
  #isLinked(record: InodeRecord): boolean {
    const { ino, parent, name } = record;
    if (ino === ROOT_INO) return true;
    if (parent !== 0 && name !== '') return this.#shows(parent, name, ino);
    for (const { dir, name } of this.#layers.names(record.ino)) {
      if (this.#shows(dir, name, record.ino)) return true;
    }
    return false;
  }

  /** True if a path leads to the file by one of its template's names. */
  isNamed(ino: Ino): boolean {
    const names = this.#layers.names(ino);
    return names.some(({ dir, name }) => this.#shows(dir, name, ino) && this.isReached(dir));
  }

  /** True if a path leads to the directory. */
  isReached(dir: Ino): boolean {
    for (let at = dir; at !== ROOT_INO; ) {
      const { parent = 0, name = '' } = this.#delta.inode(at) ?? this.#layers.inode(at) ?? {};
      if (parent === 0 || name === '' || !this.#shows(parent, name, at)) return false;
      at = parent;
    }
    return true;
  }

  /** True if the templates lack a directory, or one of them hides it; not if the env keeps, moved, removed or covered it. */
  isHidden(dir: Ino, layers: LowerTree): boolean {
    for (let at = dir; at !== ROOT_INO; ) {
      const { parent = 0, name = '' } = this.#delta.inode(at) ?? layers.inode(at) ?? {};
      if (parent === 0 || name === '') return true;
      const own = this.#delta.name(parent, name);
      if (own === null && layers.lookup(parent, name)?.ino !== at) return true;
      if (own !== null && own.ino !== at) return false;
      at = parent;
    }
    return false;
  }

  /**
   * True if every name that the templates give a file is there, or the env has something else under it: something of its
   * own, or nothing. (A template's file may have come in its place, in a version that is on its way.)
   */
  isWhole({ ino, mode, nlink }: InodeRecord): boolean {
    if (isDir(mode) || nlink === 1) return true;
    return this.#layers.names(ino).every(({ dir, name }) => {
      const own = this.#delta.name(dir, name);
      if (own === null) return this.#layers.lookup(dir, name)?.ino === ino;
      return own.ino === ino || own.ino === 0 || isPrivateIno(own.ino);
    });
  }

  #shows(dir: Ino, name: Name, ino: Ino): boolean {
    const own = this.#delta.name(dir, name);
    if (own !== null) return own.ino === ino;
    return this.#layers.lookup(dir, name)?.ino === ino;
  }

  /**
   * A template's record with the links that the env shows. What it did to names of a directory, or of a hard link group,
   * while it saw other versions, is not in their records.
   */
  counted(record: InodeRecord): InodeRecord {
    const { ino, mode, nlink } = record;
    if (isDir(mode)) {
      return this.#delta.hasNames(ino) ? { ...record, nlink: this.#countLinks(ino) } : record;
    }
    if (nlink === 1) return record;
    const names = this.#layers.names(ino);
    const taken = names.filter(({ dir, name }) => this.#isOthers(dir, name, ino)).length;
    return taken === 0 ? record : { ...record, nlink: nlink - taken };
  }

  /** True if the env removed the name, or has something else there. */
  #isOthers(dir: Ino, name: Name, ino: Ino): boolean {
    const own = this.#delta.hasNames(dir) ? this.#delta.name(dir, name) : null;
    return own !== null && own.ino !== ino;
  }

  /** A directory's link count, counted again if it was counted over other template versions. */
  recounted(record: InodeRecord): InodeRecord {
    if (!isDir(record.mode) || record.nlink === 0) return record;
    const stamp = this.stampOf(record.ino);
    if (record.stamp === stamp) return record;
    return { ...record, stamp, nlink: this.#countLinks(record.ino) };
  }

  #countLinks(dir: Ino): number {
    let nlink = this.#layers.inode(dir)?.nlink ?? 2;
    let after = 0;
    for (;;) {
      const names = this.#delta.list(dir, after, COUNT_BATCH);
      for (const entry of names) {
        const below = this.#layers.lookup(dir, entry.name);
        if (below !== null && isDir(below.mode)) nlink--;
        if (entry.ino !== 0 && isDir(entry.type)) nlink++;
        after = entry.cookie;
      }
      if (names.length < COUNT_BATCH) return nlink;
    }
  }
}

const COUNT_BATCH = 512;
