/** Damage to what follows from link rows: the index of inodes, the index of changes. */
import type { Ino } from '../../../src/base/ids.ts';
import {
  decodeInodeNames,
  encodeInodeNames,
  type InodeNames,
} from '../../../src/codec/store-rows.ts';
import { changeKey, inoKey } from '../../../src/store/keys.ts';
import type { Tables } from '../../../src/store/tables.ts';
import { type Damage, REPAIR } from '../../support/damage/damage.ts';
import {
  APP,
  edit,
  JUNK,
  type LinkAt,
  linkAt,
  OS,
  unused,
} from '../../support/damage/edit-store.ts';

const editInode = (where: string, change: (row: InodeNames) => InodeNames) => (root: string) =>
  edit(root, (tables) => {
    const key = inoKey(linkAt(tables, OS, where).ino);
    const row = decodeInodeNames(tables.table('inodes').get(key)!);
    tables.table('inodes').putSync(key, encodeInodeNames(change(row)));
  });

export const inodeDamages: readonly Damage[] = [
  {
    of: 'a file without a row',
    harm: (root) =>
      edit(root, (t) => void t.table('inodes').removeSync(inoKey(linkAt(t, OS, 'etc/kept').ino))),
    finds: 'inodes.missing',
    says: /template os: \/etc\/kept: inodes does not lead from its number \d+ to it/,
    remedy: REPAIR,
  },
  {
    of: 'a row that does not decode',
    harm: (root) =>
      edit(root, (t) => t.table('inodes').putSync(inoKey(linkAt(t, OS, 'etc/kept').ino), JUNK)),
    finds: 'inodes.row',
    says: /etc\/kept: the row of its inode \d+ can't be read/,
    remedy: REPAIR,
  },
  {
    of: 'a row that does not decode, for a number that nothing has',
    harm: (root) => edit(root, (t) => t.table('inodes').putSync(inoKey(unused(t, 1)), JUNK)),
    finds: 'inodes.names',
    says: /inode \d+: inodes has a row for it, and no template has such a file/,
    remedy: REPAIR,
  },
  {
    of: 'a row that lacks names of its file',
    harm: editInode('usr/bin/hard1', (row) => ({ ...row, names: row.names.slice(0, 1) })),
    finds: 'inodes.missing',
    says: /to it and 1 more of its names/,
    remedy: REPAIR,
  },
  {
    of: 'a row of another template',
    harm: editInode('etc/kept', (row) => ({ ...row, template: APP })),
    finds: 'inodes.missing',
    says: /etc\/kept/,
    remedy: REPAIR,
  },
  {
    of: 'a row with a name that never was its file',
    harm: editInode('etc/kept', (row) => ({
      ...row,
      names: [...row.names, { dir: 1 as Ino, name: 'bin' as never }],
    })),
    finds: 'inodes.names',
    says: /template os: \/bin: inodes leads from number \d+ to it, and it never was that file/,
    remedy: REPAIR,
  },
  {
    of: 'a row for a number that nothing has',
    harm: (root) =>
      edit(root, (tables) => {
        const row = tables.table('inodes').get(inoKey(linkAt(tables, OS, 'etc/kept').ino))!;
        tables.table('inodes').putSync(inoKey(unused(tables, 1)), row);
      }),
    finds: 'inodes.names',
    says: /no template has such a file/,
    remedy: REPAIR,
  },
];

const editChange =
  (version: number, where: string, change: (tables: Tables, key: Buffer) => void) =>
  (root: string) =>
    edit(root, (tables) => {
      const { dir, name }: LinkAt = linkAt(tables, OS, where);
      change(tables, changeKey(OS, version, dir, name));
    });

const add = (tables: Tables, key: Buffer): void => {
  tables.table('changes').putSync(key, Buffer.of(1));
};

export const changeDamages: readonly Damage[] = [
  {
    of: 'a change that is not indexed',
    harm: editChange(2, 'usr/bin/tool4', (t, key) => void t.table('changes').removeSync(key)),
    finds: 'changes.missing',
    says: /template os@2: changes lacks 1 names that it changed \(first \/usr\/bin\/tool4\)/,
    remedy: REPAIR,
  },
  {
    of: 'no change is indexed',
    harm: (root) => edit(root, (tables) => tables.table('changes').clearSync()),
    finds: 'changes.missing',
    says: /template os@3: changes lacks \d+ names/,
    remedy: REPAIR,
  },
  {
    of: 'an index of what a version did not change',
    harm: editChange(3, 'etc/kept', add),
    finds: 'changes.extra',
    says: /template os@3: changes has 1 names that it did not change \(first \/etc\/kept\)/,
    remedy: REPAIR,
  },
  {
    of: 'an index of the first version',
    harm: editChange(1, 'etc/kept', add),
    finds: 'changes.extra',
    says: /template os@1/,
    remedy: REPAIR,
  },
  {
    of: 'an index of a template that was removed',
    harm: (root) => edit(root, (tables) => add(tables, changeKey(3, 2, 1 as Ino, 'x' as never))),
    finds: 'changes.extra',
    severity: 'leftover',
    says: /template number 3: changes has 1 names of this template, which was removed/,
    remedy: /removes it/,
  },
];
