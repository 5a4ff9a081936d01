/**
 * Writes the rows of a new version of a template: only what differs from the version before it. An unchanged
 * file keeps its row and its ino; any other gets a new ino. A directory keeps the ino of its path, which is the
 * same in all templates.
 */
import { type Ino, type Name, type ObjectId, ROOT_INO } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import { COOKIE_START, nameCookie } from '../base/name-hash.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import { decodeHistory, linkAsOf, prependChange } from '../codec/link-history.ts';
import {
  decodeNumber,
  encodeDirName,
  encodeInodeNames,
  encodeNumber,
} from '../codec/store-rows.ts';
import { forgetChanges, noteChange } from './changed-names.ts';
import { dirKey, inoKey, linkKey, linkName, templateDirKey } from './keys.ts';
import { ABOVE_ROOT } from './link-rows.ts';
import type { Table } from './table.ts';
import type { Tables } from './tables.ts';

/** How many inos are taken from the counter at once; the rest of the last block is never used. */
const INO_BLOCK = 256;

/** The row of one name before this version: its bytes, and its record as of the newest version. */
export interface OldRow {
  readonly value: Buffer;
  readonly record: InodeRecord | null;
}

/** The new version being written. All calls belong inside one transaction. */
export class VersionRows {
  private readonly tables: Tables;
  private readonly links: Table;
  private readonly template: number;
  private readonly version: number;
  private readonly newObjects = new Map<ObjectId, number>();
  private nextIno = 0;
  private endIno = 0;
  private count = 0;

  /** @param version the new one; all versions below it are written already */
  constructor(tables: Tables, template: number, version: number) {
    this.tables = tables;
    this.links = tables.table('links');
    this.template = template;
    this.version = version;
  }

  /** Returns the ino of the directory at this path, the same in every template; allocates it at the first use. */
  dirIno(parent: Ino | typeof ABOVE_ROOT, name: Name | ''): Ino {
    if (parent === ABOVE_ROOT) return this.rememberDir(ROOT_INO, ABOVE_ROOT, '');
    const known = this.tables.table('dirs').get(dirKey(parent, name));
    if (known !== undefined) return this.touch(decodeNumber(known) as Ino);
    return this.rememberDir(this.allocate(), parent, name);
  }

  private rememberDir(ino: Ino, parent: Ino | typeof ABOVE_ROOT, name: Name | ''): Ino {
    this.tables.table('dirs').putSync(dirKey(parent, name), encodeNumber(ino));
    this.tables.table('dirNames').putSync(inoKey(ino), encodeDirName({ parent, name }));
    return this.touch(ino);
  }

  /** Notes that this template has the directory, from this version on. */
  private touch(ino: Ino): Ino {
    const table = this.tables.table('templateDirs');
    const key = templateDirKey(this.template, ino);
    if (!table.has(key)) table.putSync(key, encodeNumber(this.version));
    return ino;
  }

  allocate(): Ino {
    if (this.nextIno === this.endIno) {
      // In blocks: a row of the counter per file would be a third of all writes.
      this.nextIno = this.tables.take('nextIno', INO_BLOCK);
      this.endIno = this.nextIno + INO_BLOCK;
    }
    return this.nextIno++ as Ino;
  }

  /** Returns the rows of all names that the template ever had in `dir`. */
  oldRows(dir: Ino): Map<Name, OldRow> {
    const rows = new Map<Name, OldRow>();
    if (this.version === 1) return rows;
    const start = linkKey(this.template, dir, 0, '');
    const end = linkKey(this.template, (dir + 1) as Ino, 0, '');
    for (const { key, value } of this.links.getRange({ start, end })) {
      rows.set(linkName(key), { value, record: linkAsOf(value, this.version) });
    }
    return rows;
  }

  oldRoot(): OldRow | null {
    const value = this.links.get(linkKey(this.template, ABOVE_ROOT, COOKIE_START, ''));
    return value === undefined ? null : { value, record: linkAsOf(value, this.version) };
  }

  /** Sets the name to `record` from this version on; null: the name is absent. */
  put(
    dir: Ino | typeof ABOVE_ROOT,
    name: Name | '',
    record: InodeRecord | null,
    old: OldRow | null,
  ): void {
    const cookie = name === '' ? COOKIE_START : nameCookie(name);
    const value = prependChange(old?.value ?? null, { version: this.version, record });
    this.links.putSync(linkKey(this.template, dir, cookie, name), value);
    this.count++;
    noteChange(this.tables, this.template, this.version, { dir: dir, name });
    if (record !== null && record.object !== '') this.refer(record.object);
  }

  /** Returns how many names were written so far, which is how many differ from the version before. */
  get written(): number {
    return this.count;
  }

  /** Notes the names of a new file. */
  putNames(ino: Ino, names: readonly { dir: Ino; name: Name }[]): void {
    const row = encodeInodeNames({ template: this.template, names });
    this.tables.table('inodes').putSync(inoKey(ino), row);
  }

  private refer(object: ObjectId): void {
    this.newObjects.set(object, (this.newObjects.get(object) ?? 0) + 1);
  }

  /** Returns, for each object, how many records of this version's rows name it. */
  get references(): ReadonlyMap<ObjectId, number> {
    return this.newObjects;
  }
}

/**
 * Removes all rows of a template; returns for each object how many of them named it. Call it inside a
 * transaction.
 */
export function removeLinkRows(tables: Tables, template: number): Map<ObjectId, number> {
  const references = new Map<ObjectId, number>();
  const links = tables.table('links');
  const inodes = tables.table('inodes');
  const start = linkKey(template, ABOVE_ROOT, 0, '');
  const end = linkKey(template + 1, ABOVE_ROOT, 0, '');
  const keys: Buffer[] = [];
  const files: Buffer[] = [];
  for (const { key, value } of links.getRange({ start, end })) {
    keys.push(key);
    for (const { record } of decodeHistory(value)) {
      if (record === null) continue;
      if (!isDir(record.mode)) files.push(inoKey(record.ino));
      if (record.object !== '') {
        references.set(record.object, (references.get(record.object) ?? 0) + 1);
      }
    }
  }
  for (const key of files) inodes.removeSync(key);
  for (const key of keys) links.removeSync(key);
  const dirs = tables.table('templateDirs');
  const range = {
    start: templateDirKey(template, 0 as Ino),
    end: templateDirKey(template + 1, 0 as Ino),
  };
  for (const key of [...dirs.getKeys(range)]) dirs.removeSync(key);
  forgetChanges(tables, template);
  return references;
}
