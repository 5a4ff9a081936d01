/** What must hold between the rows of a template, worked out from its `links` alone. */

import type { Ino, Name, ObjectId } from '../../src/base/ids.ts';
import { isDir } from '../../src/base/mode.ts';
import { decodeHistory } from '../../src/codec/link-history.ts';
import {
  decodeDirName,
  decodeInodeNames,
  decodeNumber,
  decodeObject,
} from '../../src/codec/store-rows.ts';
import {
  changeDir,
  changeName,
  inoKey,
  linkDir,
  linkName,
  templateDirIno,
} from '../../src/store/keys.ts';
import { rawTables } from '../../src/store/raw-tables.ts';
import type { Store } from '../../src/store/store.ts';

const place = (dir: number, name: string): string => `${dir}/${name}`;

/** Every way in which the store's rows do not go together, a line each. */
export function inconsistencies(store: Store): string[] {
  const found: string[] = [];
  const expected = new Expected(store, found);
  expected.compare(store);
  return found.sort();
}

class Expected {
  private readonly found: string[];
  /** "template version place" of each change after the template's first version ever. */
  private readonly changes = new Set<string>();
  /** Names by ino of file. */
  private readonly files = new Map<Ino, Set<string>>();
  /** The first version that has it, by "template directory". */
  private readonly dirs = new Map<string, number>();
  private readonly refs = new Map<ObjectId, number>();

  constructor(store: Store, found: string[]) {
    this.found = found;
    for (const { key, value } of rawTables(store).table('links').getRange({})) {
      this.add(store, key.readUInt32BE(0), linkDir(key), linkName(key), value);
    }
  }

  private add(store: Store, template: number, dir: number, name: Name, value: Buffer): void {
    const at = place(dir, name);
    const history = decodeHistory(value);
    const versions = new Set(store.versions(template).map(({ number }) => number));
    if (history.at(-1)?.record == null) this.found.push(`${at} begins with nothing`);
    history.forEach(({ version, record }, i) => {
      if (!versions.has(version)) this.found.push(`${at} changed in ${version}, which is gone`);
      if (i > 0 && history[i - 1]!.version <= version) this.found.push(`${at} is out of order`);
      if (version > 1) this.changes.add(`${template} ${version} ${at}`);
      if (record === null) return;
      const { ino, object } = record;
      if (isDir(record.mode)) {
        const known = this.dirs.get(`${template} ${ino}`) ?? version;
        this.dirs.set(`${template} ${ino}`, Math.min(known, version));
      } else this.files.set(ino, (this.files.get(ino) ?? new Set()).add(at));
      if (object !== '') this.refs.set(object, (this.refs.get(object) ?? 0) + 1);
    });
  }

  compare(store: Store): void {
    const tables = rawTables(store);
    const rows = (name: Parameters<typeof tables.table>[0]) => [...tables.table(name).getRange({})];
    const changes = rows('changes').map(({ key }) => {
      const version = `${key.readUInt32BE(0)} ${key.readUInt32BE(4)}`;
      return `${version} ${place(changeDir(key), changeName(key))}`;
    });
    this.same('changes', this.changes, changes);
    const files = [...this.files].map(([ino, names]) => `${ino}: ${[...names].sort().join()}`);
    const inodes = rows('inodes').map(({ key, value }) => {
      const { names } = decodeInodeNames(value);
      const places = names.map(({ dir, name }) => place(dir, name));
      return `${key.readUInt32BE(4)}: ${places.sort().join()}`;
    });
    this.same('inodes', files, inodes);
    const dirs = rows('templateDirs').map(({ key, value }) => {
      const dir = `${key.readUInt32BE(0)} ${templateDirIno(key)}`;
      const first = this.dirs.get(dir);
      if (first !== undefined && decodeNumber(value) > first) {
        this.found.push(`templateDirs: ${dir} is there since ${first}`);
      }
      return dir;
    });
    this.same('templateDirs', this.dirs.keys(), dirs);
    const refs = rows('objects').map(({ key, value }) => {
      return `${key.toString('hex')} ${decodeObject(value).refs}`;
    });
    const unnamed = refs.filter((line) => line.endsWith(' 0'));
    this.same('objects', [...this.refs].map((pair) => pair.join(' ')).concat(unnamed), refs);
    for (const { key, value } of rows('dirs')) {
      const ino = decodeNumber(value) as Ino;
      const back = tables.table('dirNames').get(inoKey(ino));
      const { parent, name } = back ? decodeDirName(back) : { parent: -1, name: '' };
      const at = place(key.readUInt32BE(4), key.toString('latin1', 8));
      if (place(parent, name) !== at) this.found.push(`dirNames: ${ino} is not ${at}`);
    }
  }

  private same(table: string, expected: Iterable<string>, real: Iterable<string>): void {
    const [must, has] = [new Set(expected), new Set(real)];
    for (const row of must) if (!has.has(row)) this.found.push(`${table}: lacks ${row}`);
    for (const row of has) if (!must.has(row)) this.found.push(`${table}: has ${row}`);
  }
}
