/**
 * The lower tree of one stack: its templates, merged by the ino of each directory (LowerTree in
 * src/driver/core/ports.ts).
 */
import { type Ino, type Name, ROOT_INO } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import { nameCookie } from '../base/name-hash.ts';
import { DIRECTORY_LINKS, FLAG_OWN_ATTRS, type InodeRecord } from '../codec/inode-record.ts';
import { decodeHistory, recordOfIno } from '../codec/link-history.ts';
import { type DirName, decodeDirName, decodeNumber, type InodeNames } from '../codec/store-rows.ts';
import type { LowerEntry, LowerTree } from '../driver/core/ports.ts';
import { dirKey, inoKey, linkKey } from './keys.ts';
import { mergeEntries } from './merge-entries.ts';
import { plainDir } from './plain-dir.ts';
import type { Tables } from './tables.ts';
import { inodeNames, type TemplateView } from './template-view.ts';

/**
 * How many directories' merged records are kept. When there are more, all are dropped and computed again on
 * demand.
 */
const MERGED_MAX = 50_000;

/** The templates of one stack as one tree. */
export class StackTree implements LowerTree {
  readonly stamp: number;
  private readonly tables: Tables;
  /** Topmost first, the order of lookup. */
  private readonly views: readonly TemplateView[];
  private readonly merged = new Map<Ino, InodeRecord>();

  /** @param views topmost first */
  constructor(tables: Tables, stamp: number, views: readonly TemplateView[]) {
    this.tables = tables;
    this.stamp = stamp;
    this.views = views;
  }

  lookup(dir: Ino, name: Name): InodeRecord | null {
    const views = this.views;
    for (let i = 0; i < views.length; i++) {
      const record = views[i]!.lookup(dir, name);
      if (record !== null) {
        return isDir(record.mode) && i < views.length - 1 ? this.mergedDir(record, i) : record;
      }
    }
    return null;
  }

  /**
   * Returns the directory as the stack has it. `record` is that of view `top`, the topmost view that has the
   * directory.
   */
  private mergedDir(record: InodeRecord, top: number): InodeRecord {
    const known = this.merged.get(record.ino);
    if (known !== undefined) return known;
    const merged = this.mergeDir(record, top);
    if (merged === record) return record;
    if (this.merged.size >= MERGED_MAX) this.merged.clear();
    this.merged.set(record.ino, merged);
    return merged;
  }

  private mergeDir(record: InodeRecord, top: number): InodeRecord {
    let attributes = record;
    let layers = 1;
    for (let i = top + 1; i < this.views.length; i++) {
      const below = this.dirOf(this.views[i]!, record);
      if (below === null) continue;
      // The bottommost template's attributes apply, unless one above says that its own do.
      if ((attributes.flags & FLAG_OWN_ATTRS) === 0) attributes = below;
      layers++;
    }
    if (layers === 1) return record;
    return { ...attributes, nlink: DIRECTORY_LINKS + this.countSubdirectories(record.ino) };
  }

  /**
   * Returns what one template says about a directory that another template has, too; null if it lacks the
   * directory.
   */
  private dirOf(view: TemplateView, { ino, parent, name }: InodeRecord): InodeRecord | null {
    if (!view.touches(ino)) return null;
    const record = ino === ROOT_INO || name === '' ? view.root : view.lookup(parent as Ino, name);
    return record !== null && isDir(record.mode) ? record : null;
  }

  private countSubdirectories(dir: Ino): number {
    const start = dirKey(dir, '');
    const end = dirKey((dir + 1) as Ino, '');
    let count = 0;
    // `dirs` lists every subdirectory of any template: few, compared with the files.
    for (const { key, value } of this.tables.table('dirs').getRange({ start, end })) {
      const ino = decodeNumber(value) as Ino;
      const name = key.toString('latin1', 8) as Name;
      if (this.views.some((view) => view.touches(ino)) && this.isDirHere(dir, name)) count++;
    }
    return count;
  }

  private isDirHere(dir: Ino, name: Name): boolean {
    for (const view of this.views) {
      const record = view.lookup(dir, name);
      if (record !== null) return isDir(record.mode);
    }
    return false;
  }

  inode(ino: Ino): InodeRecord | null {
    if (ino === ROOT_INO) return this.rootDir();
    const file = inodeNames(this.tables, ino);
    if (file !== null) {
      const view = this.views.find(({ template }) => template === file.template);
      return view?.file(ino, file) ?? this.earlierFile(ino, file);
    }
    const at = this.dirName(ino);
    if (at === null || !this.views.some((view) => view.touches(ino))) return null;
    const record = this.lookupDir(at.parent as Ino, at.name as Name);
    return record?.ino === ino ? record : null;
  }

  /** Returns the topmost *directory* of that name, even if a template above it has a file there. */
  private lookupDir(parent: Ino, name: Name): InodeRecord | null {
    for (let i = 0; i < this.views.length; i++) {
      const record = this.views[i]!.lookup(parent, name);
      if (record !== null && isDir(record.mode)) return this.mergedDir(record, i);
    }
    return null;
  }

  private rootDir(): InodeRecord | null {
    for (let i = 0; i < this.views.length; i++) {
      const root = this.views[i]!.root;
      if (root !== null) return this.mergedDir(root, i);
    }
    return null;
  }

  /**
   * Returns a file that the stack no longer has, or whose template it no longer has. An env may still name it:
   * it renamed the file, or has it open, and the stack was changed afterwards.
   */
  private earlierFile(ino: Ino, file: InodeNames): InodeRecord | null {
    const links = this.tables.table('links');
    for (const { dir, name } of file.names) {
      const row = links.get(linkKey(file.template, dir, nameCookie(name), name));
      const record = row === undefined ? null : recordOfIno(row, ino);
      if (record !== null) return record;
    }
    return null;
  }

  private dirName(ino: Ino): DirName | null {
    const row = this.tables.table('dirNames').get(inoKey(ino));
    return row === undefined ? null : decodeDirName(row);
  }

  /**
   * Returns what a directory was like last. The bottommost template decides, as in a merged directory: a
   * version before the one seen or, failing that, one after it. Otherwise a template that is no longer in the
   * stack decides.
   */
  lastDir(ino: Ino): InodeRecord | null {
    const at = this.dirName(ino);
    if (at === null || at.name === '') return null;
    for (const { template, version } of [...this.views.toReversed(), ...this.otherTemplates()]) {
      const last = this.lastDirOf(template, version, at, ino);
      if (last !== null) return last;
    }
    // All versions that had it were removed.
    return plainDir(ino, at.parent, at.name);
  }

  private lastDirOf(
    template: number,
    version: number,
    { parent, name }: DirName,
    ino: Ino,
  ): InodeRecord | null {
    const cookie = nameCookie(name as Name);
    const row = this.tables.table('links').get(linkKey(template, parent, cookie, name));
    if (row === undefined) return null;
    const had = decodeHistory(row).filter(({ record }) => record?.ino === ino);
    const last = had.find((change) => change.version <= version) ?? had.at(-1);
    return last?.record ?? null;
  }

  /** Returns the templates outside this stack, newest first: what a stack had last is more likely among those. */
  private otherTemplates(): { template: number; version: number }[] {
    const own = new Set(this.views.map(({ template }) => template));
    return [...this.tables.table('templates').getKeys()]
      .map((key) => ({ template: key.readUInt32BE(0), version: Number.MAX_SAFE_INTEGER }))
      .filter(({ template }) => !own.has(template))
      .reverse();
  }

  everAt(dir: Ino, name: Name): readonly InodeRecord[] {
    const cookie = nameCookie(name);
    return this.views.flatMap(({ template }) => {
      const row = this.tables.table('links').get(linkKey(template, dir, cookie, name));
      return row === undefined ? [] : decodeHistory(row).flatMap(({ record }) => record ?? []);
    });
  }

  everFile(dir: Ino, name: Name, ino: Ino): InodeRecord | null {
    const file = inodeNames(this.tables, ino);
    if (file === null || !file.names.some((each) => each.dir === dir && each.name === name))
      return null;
    const row = this.tables.table('links').get(linkKey(file.template, dir, nameCookie(name), name));
    return row === undefined ? null : recordOfIno(row, ino);
  }

  list(dir: Ino, after: number, max: number): readonly LowerEntry[] {
    const lists: (readonly LowerEntry[])[] = [];
    for (const view of this.views) {
      const entries = view.touches(dir) ? view.list(dir, after, max) : [];
      if (entries.length > 0) lists.push(entries);
    }
    const entries = lists.length === 1 ? lists[0]! : mergeEntries(lists, max);
    return this.views.length === 1
      ? entries
      : entries.map((entry) => this.withMergedDir(dir, entry));
  }

  private withMergedDir(dir: Ino, entry: LowerEntry): LowerEntry {
    if (!isDir(entry.record.mode)) return entry;
    const record = this.lookup(dir, entry.name);
    return record === null || record === entry.record ? entry : { ...entry, record };
  }

  names(ino: Ino): readonly DirEntryName[] {
    const file = inodeNames(this.tables, ino);
    if (file !== null) {
      const view = this.views.find(({ template }) => template === file.template);
      return view?.namesOf(ino, file) ?? [];
    }
    const at = this.dirName(ino);
    if (at === null || at.name === '' || this.inode(ino) === null) return [];
    return [{ dir: at.parent as Ino, name: at.name }];
  }
}

interface DirEntryName {
  readonly dir: Ino;
  readonly name: Name;
}
