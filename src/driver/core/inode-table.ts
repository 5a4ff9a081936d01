import { ESTALE } from '../../base/errno.ts';
import { type Ino, inoOf, isPrivateIno, type Name, type NodeId, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { withColdParts } from './cold-parts.ts';
import type { Entries } from './entries.ts';
import { Inode } from './inode.ts';
import { namesIn } from './own-names.ts';
import type { Delta, LowerTree } from './ports.ts';
import type { ResumeRecords } from './resume/records.ts';

/**
 * The inodes that the kernel holds references to, by ino. Others are loaded on demand: a nodeid is derived from
 * the ino, so losing this table would lose only reference counts.
 */
export class InodeTable {
  /** Ordered by last lookup, oldest first; kept in this order only while Entries.isScarce. */
  readonly #byIno = new Map<Ino, Inode>();
  readonly #lower: LowerTree;
  readonly #delta: Delta;
  readonly #entries: Entries;
  readonly #records: ResumeRecords | null;
  /** Lower trees that the env has shown; null if the kernel knows nothing from before this table. */
  #earlier: readonly LowerTree[] | null = null;

  constructor(lower: LowerTree, delta: Delta, entries: Entries, records: ResumeRecords | null) {
    this.#lower = lower;
    this.#delta = delta;
    this.#entries = entries;
    this.#records = records;
  }

  get size(): number {
    return this.#byIno.size;
  }

  values(): IterableIterator<Inode> {
    return this.#byIno.values();
  }

  /** Returns the inode of a nodeid that the kernel sent, or -ESTALE if the file no longer exists. */
  get(node: NodeId): Inode | number {
    const ino = inoOf(node);
    return this.#byIno.get(ino) ?? this.load(ino) ?? this.#known(ino) ?? -ESTALE;
  }

  /**
   * Says that the kernel may know inodes from before this table was made, of the present lower tree or of earlier ones,
   * though no name leads to them any more.
   */
  goOnFrom(earlier: readonly LowerTree[]): void {
    this.#earlier = earlier;
  }

  /** Returns an inode that the kernel knows, whether a name leads to it or not; null if there never was one. */
  recall(ino: Ino): Inode | null {
    return this.load(ino) ?? this.#known(ino);
  }

  /** Returns a template's inode without a name, if the kernel may know it from before. */
  #known(ino: Ino): Inode | null {
    if (this.#earlier === null || isPrivateIno(ino)) return null;
    const record = this.#lower.inode(ino);
    if (record !== null) return this.#add(ino, { ...record, nlink: 0 }, false);
    for (const tree of this.#earlier) {
      const gone = tree.inode(ino);
      if (gone !== null) return this.#addGone(gone, false, tree);
    }
    return null;
  }

  /** Returns the inode by its number; null if no name leads to it and it is not open. */
  load(ino: Ino): Inode | null {
    const known = this.#byIno.get(ino);
    if (known !== undefined) return known;
    const own = this.#delta.inode(ino);
    if (own !== null) return this.#add(ino, this.recounted(own), true);
    const record = isPrivateIno(ino) ? null : this.#lower.inode(ino);
    if (record === null || !this.#isLinked(record)) return null;
    return this.#add(ino, this.counted(record), false);
  }

  /**
   * Returns the inode for a template's record that was found under a name which the delta does not change.
   * @param gone the older lower tree that it was found in, if its directory is gone; else null
   */
  adopt(record: InodeRecord, gone: LowerTree | null): Inode {
    const known = this.#byIno.get(record.ino);
    if (known !== undefined) return known;
    const own = this.#delta.inode(record.ino);
    if (gone !== null) return this.#addGone(own ?? record, own !== null, gone);
    if (own !== null) return this.#add(record.ino, this.recounted(own), true);
    return this.#add(record.ino, this.counted(record), false);
  }

  /** Returns the inode if the kernel knows it or an operation works on it; loads nothing. */
  peek(ino: Ino): Inode | null {
    return this.#byIno.get(ino) ?? null;
  }

  /** Adds an inode that did not exist before. */
  add(record: InodeRecord): Inode {
    return this.#add(record.ino, record, true);
  }

  /** Removes the inode from memory. */
  drop(inode: Inode): void {
    if (!this.#byIno.delete(inode.ino)) return;
    this.#entries.give(isPrivateIno(inode.ino));
    if (inode.place !== 0) this.#records?.forgetInode(inode);
  }

  /** Marks the inode as just looked up by the kernel, so that it is the last to be given up. */
  touch(inode: Inode): void {
    if (this.#byIno.delete(inode.ino)) this.#byIno.set(inode.ino, inode);
  }

  /**
   * Visits inodes, least recently looked up first, and moves each to the end of the order. Returns the number
   * visited.
   * @param max the most to visit
   * @param look returns false to stop
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

  /** Returns the `stamp` that a directory's record carries beside its link count: the versions it was counted over. */
  stampOf(dir: Ino): number {
    return isPrivateIno(dir) ? 0 : this.#lower.stamp;
  }

  #addGone(record: InodeRecord, inDelta: boolean, gone: LowerTree): Inode {
    const inode = this.#add(record.ino, { ...record, nlink: 0 }, inDelta);
    inode.gone = gone;
    return inode;
  }

  #add(ino: Ino, record: InodeRecord, inDelta: boolean): Inode {
    const kept = inDelta ? withColdParts(record, this.#delta) : record;
    const inode = new Inode(ino, kept, inDelta);
    this.#byIno.set(ino, inode);
    this.#entries.take(isPrivateIno(ino));
    return inode;
  }

  /**
   * Returns false if the env has removed all of the file's template names: it no longer exists, though the
   * template's row does.
   */
  #isLinked(record: InodeRecord): boolean {
    const { ino, parent, name } = record;
    if (ino === ROOT_INO) return true;
    if (parent !== 0 && name !== '') return this.#shows(parent, name, ino);
    for (const { dir, name } of this.#lower.names(record.ino)) {
      if (this.#shows(dir, name, record.ino)) return true;
    }
    return false;
  }

  /** Returns true if a path leads to the file through one of its template names. */
  isNamed(ino: Ino): boolean {
    const names = this.#lower.names(ino);
    return names.some(({ dir, name }) => this.#shows(dir, name, ino) && this.isReached(dir));
  }

  /** Returns true if a path leads to the directory. */
  isReached(dir: Ino): boolean {
    for (let at = dir; at !== ROOT_INO; ) {
      const { parent = 0, name = '' } = this.#delta.inode(at) ?? this.#lower.inode(at) ?? {};
      if (parent === 0 || name === '' || !this.#shows(parent, name, at)) return false;
      at = parent;
    }
    return true;
  }

  /**
   * Returns true if the templates lack the directory, or one of them hides it. False if the env keeps, moved,
   * removed or covered it.
   */
  isHidden(dir: Ino, lower: LowerTree): boolean {
    for (let at = dir; at !== ROOT_INO; ) {
      const { parent = 0, name = '' } = this.#delta.inode(at) ?? lower.inode(at) ?? {};
      if (parent === 0 || name === '') return true;
      const own = this.#delta.name(parent, name);
      // What it is in stays, since the env has something in it.
      if (own !== null) return false;
      if (lower.lookup(parent, name)?.ino !== at) return true;
      at = parent;
    }
    return false;
  }

  /**
   * Returns true if each name that the templates give a file either leads to the file, or is the env's own: a file
   * of its own, or a whiteout. (During a flip, a template's file of the next version may already be in its place.)
   */
  isWhole({ ino, mode, nlink }: InodeRecord): boolean {
    if (isDir(mode) || nlink === 1) return true;
    return this.#lower.names(ino).every(({ dir, name }) => {
      const own = this.#delta.name(dir, name);
      if (own === null) return this.#lower.lookup(dir, name)?.ino === ino;
      return own.ino === ino || own.ino === 0 || isPrivateIno(own.ino);
    });
  }

  #shows(dir: Ino, name: Name, ino: Ino): boolean {
    const own = this.#delta.name(dir, name);
    if (own !== null) return own.ino === ino;
    return this.#lower.lookup(dir, name)?.ino === ino;
  }

  /**
   * Returns a template's record with the link count that the env shows. The env's changes to the names of a
   * directory, or of a hard link group, made while it saw other versions, are not counted in the record.
   */
  counted(record: InodeRecord): InodeRecord {
    const { ino, mode, nlink } = record;
    if (isDir(mode)) {
      return this.#delta.hasNames(ino) ? { ...record, nlink: this.#countLinks(ino) } : record;
    }
    if (nlink === 1) return record;
    const names = this.#lower.names(ino);
    const taken = names.filter(({ dir, name }) => this.#isOthers(dir, name, ino)).length;
    return taken === 0 ? record : { ...record, nlink: nlink - taken };
  }

  /** Returns true if the env removed the name, or has another file there. */
  #isOthers(dir: Ino, name: Name, ino: Ino): boolean {
    const own = this.#delta.hasNames(dir) ? this.#delta.name(dir, name) : null;
    return own !== null && own.ino !== ino;
  }

  /** Returns a directory's record, its links counted again if they were counted over other template versions. */
  recounted(record: InodeRecord): InodeRecord {
    if (!isDir(record.mode) || record.nlink === 0) return record;
    const stamp = this.stampOf(record.ino);
    if (record.stamp === stamp) return record;
    return { ...record, stamp, nlink: this.#countLinks(record.ino) };
  }

  #countLinks(dir: Ino): number {
    let nlink = this.#lower.inode(dir)?.nlink ?? 2;
    for (const { name, ino, type } of namesIn(this.#delta, dir)) {
      const below = this.#lower.lookup(dir, name);
      if (below !== null && isDir(below.mode)) nlink--;
      if (ino !== 0 && isDir(type)) nlink++;
    }
    return nlink;
  }
}
