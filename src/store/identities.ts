/** Keeps the identity of each version of a template: see codec/tree-identity.ts. */
import { Damaged } from '../base/damaged.ts';
import { type Ino, ROOT_INO } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import { directoryHash, type TreeEntry, treeIdentity } from '../codec/tree-identity.ts';
import { entriesOf } from '../driver/core/lower-entries.ts';
import type { LowerTree } from '../driver/core/ports.ts';
import { dirPathBytes } from './dir-path.ts';
import { versionKey } from './keys.ts';
import type { Tables } from './tables.ts';

const ROW_VERSION = 1;

/** Returns the identity that was noted of a version, in hex; null if none was. */
export function notedIdentity(tables: Tables, templateId: number, version: number): string | null {
  const row = tables.find('identities')?.get(versionKey(templateId, version));
  if (row === undefined) return null;
  if (row[0] !== ROW_VERSION) throw new Damaged(`an identity of version ${row[0] ?? 'none'}`);
  return row.toString('hex', 1);
}

/** Notes the identity of a version. Call it inside a transaction. */
export function noteIdentity(
  tables: Tables,
  templateId: number,
  version: number,
  identity: string,
): void {
  const row = Buffer.concat([Buffer.of(ROW_VERSION), Buffer.from(identity, 'hex')]);
  tables.table('identities').putSync(versionKey(templateId, version), row);
}

/** Forgets the identity of a version that is removed. Call it inside a transaction. */
export const forgetIdentity = (tables: Tables, templateId: number, version: number): void =>
  void tables.find('identities')?.removeSync(versionKey(templateId, version));

/** Reads all of a version, and returns its identity, in hex. @param lower the version alone, without other templates */
export function identityOf(tables: Tables, lower: LowerTree): string {
  const root = lower.inode(ROOT_INO);
  if (root === null) throw new Error('a version has no root directory');
  return treeIdentity(root, hashBelow(tables, lower, ROOT_INO));
}

function hashBelow(tables: Tables, lower: LowerTree, dir: Ino): Buffer {
  const entries: TreeEntry[] = [];
  for (const { name, record } of entriesOf(lower, dir)) {
    const below = isDir(record.mode) ? hashBelow(tables, lower, record.ino) : null;
    entries.push({ name, record, below, firstPath: firstPath(tables, lower, record) });
  }
  return directoryHash(entries);
}

function firstPath(tables: Tables, lower: LowerTree, { ino, mode, nlink }: InodeRecord): string {
  if (isDir(mode) || nlink === 1) return '';
  const paths = lower.names(ino).map(({ dir, name }) => `${dirPathBytes(tables, dir)}/${name}`);
  return paths.sort()[0] ?? '';
}
