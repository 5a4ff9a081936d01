/** Writes rows of an env's link table as they should not be. */
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type Database, open } from 'lmdb';
import { type Ino, type Name, ROOT_INO } from '../../../src/base/ids.ts';
import { nameCookie } from '../../../src/base/name-hash.ts';
import type { InodeRecord } from '../../../src/codec/inode-record.ts';
import type { Change } from '../../../src/driver/core/ports.ts';
import { openDelta } from '../../../src/driver/delta/open-delta.ts';
import { readDelta } from '../../../src/driver/delta/read-delta.ts';
import {
  encodeInodeValue,
  inoKey,
  NAME_KEY_MAX,
  writeNameKey,
} from '../../../src/driver/delta/table-rows.ts';

/** The env of the healthy root that changed much. */
const WEB = 1;
export const webDir = (root: string): string => path.join(root, 'envs', String(WEB));
export const privateFile = (root: string, ino: Ino): string =>
  path.join(webDir(root), 'private', ino.toString(16));

type RawTable = Database<Buffer, Buffer>;
type RawTables = Readonly<Record<'names' | 'inodes' | 'marks' | 'meta', RawTable>>;

export async function editRaw(root: string, change: (tables: RawTables) => void): Promise<void> {
  const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const options = { path: path.join(webDir(root), 'link'), noSubdir: false, maxDbs: 4 };
  const link = open<Buffer, Buffer>({ ...options, overlappingSync: false, ...binary });
  const table = (name: string): RawTable => link.openDB<Buffer, Buffer>(name, binary);
  const tables = {
    names: table('names'),
    inodes: table('inodes'),
    marks: table('marks'),
    meta: table('meta'),
  };
  link.transactionSync(() => change(tables));
  await link.close();
}

/** A name of the env `web`, and its inode. */
export interface Own {
  readonly dir: Ino;
  readonly name: Name;
  readonly ino: Ino;
  readonly record: InodeRecord;
}

/** By the last part of its path: none is there twice. */
export async function own(root: string, name: string): Promise<Own> {
  const view = await readDelta(webDir(root));
  const found = [...view.changedNames()].find((entry) => entry.name === name && entry.ino !== 0);
  if (found === undefined) throw new Error(`no name ${name}`);
  const { dir, ino } = found;
  const record = view.inode(ino as Ino)!;
  await view.close();
  return { dir, name: found.name, ino: ino as Ino, record };
}

export function nameKey(dir: Ino, name: Name, cookie = nameCookie(name)): Buffer {
  const key = Buffer.alloc(NAME_KEY_MAX);
  return Buffer.from(key.subarray(0, writeNameKey(key, dir, cookie, name)));
}

/** The record of what has this name, with other fields. */
export const editInode = (name: string, fields: Partial<InodeRecord>) => async (root: string) => {
  const { ino, record } = await own(root, name);
  const key = inoKey(ino);
  const value = encodeInodeValue(key, { ...record, ...fields });
  await editRaw(root, ({ inodes }) => inodes.putSync(key, value));
};

/** A change as drivers make them. @returns what `make` returns */
export async function changeDelta<T>(
  root: string,
  make: (change: Change, allocate: () => Ino) => T,
): Promise<T> {
  const delta = await openDelta(webDir(root), { openObject: () => -1, keepOrphans: true });
  const result = make(delta.begin(), () => delta.allocate());
  if (delta.commit() < 0) throw new Error('not committed');
  await delta.close();
  return result;
}

/** A number that was given out, and that nothing has. */
export const unusedIno = (root: string): Promise<Ino> =>
  changeDelta(root, (change, allocate) => {
    change.setName(ROOT_INO, 'no-such-name' as Name, 0, 0);
    return allocate();
  });

/** Changes that are in a journal only, as a driver that was killed leaves them: one record each. */
export async function crashAfter(root: string, changes: readonly ((change: Change) => void)[]) {
  const delta = await openDelta(webDir(root), { openObject: () => -1, checkpointMs: 1e9 });
  for (const make of changes) {
    make(delta.begin());
    if (delta.commit() < 0) throw new Error('not committed');
  }
  const copy = `${webDir(root)}.copy`;
  cpSync(webDir(root), copy, { recursive: true });
  await delta.close();
  rmSync(webDir(root), { recursive: true });
  cpSync(copy, webDir(root), { recursive: true });
  rmSync(copy, { recursive: true });
}
