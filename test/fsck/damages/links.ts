/** Damage to link rows, and to what says which directories a template has. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Ino, PRIVATE_INO_BASE } from '../../../src/base/ids.ts';
import { S_IFLNK } from '../../../src/base/mode.ts';
import { DATA_PRIVATE } from '../../../src/codec/inode-record.ts';
import { encodeHistory } from '../../../src/codec/link-history.ts';
import { encodeNumber } from '../../../src/codec/store-rows.ts';
import {
  idKey,
  linkCookie,
  linkKey,
  templateDirKey,
  textKey,
  versionKey,
} from '../../../src/store/keys.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import {
  APP,
  edit,
  editLink,
  editRecord,
  JUNK,
  linkAt,
  OS,
  unused,
} from '../../support/damage/edit-store.ts';

const junkRow = (where: string) => (root: string) =>
  edit(root, (tables) => tables.table('links').putSync(linkAt(tables, OS, where).key, JUNK));

/** The row of usr/lib/same moves to another cookie, or is there too. */
const misplace = (keep: boolean) => (root: string) =>
  edit(root, (tables) => {
    const { key, dir, name, changes } = linkAt(tables, OS, 'usr/lib/same');
    const wrong = linkKey(OS, dir, linkCookie(key) + 1, name);
    tables.table('links').putSync(wrong, encodeHistory(changes));
    if (!keep) tables.table('links').removeSync(key);
  });

const templateDir = (where: string, value: Buffer | null) => (root: string) =>
  edit(root, (tables) => {
    const key = templateDirKey(OS, linkAt(tables, OS, where).ino);
    if (value === null) tables.table('templateDirs').removeSync(key);
    else tables.table('templateDirs').putSync(key, value);
  });

export const linkDamages: readonly Damage[] = [
  {
    of: 'a row of a file that does not decode',
    harm: junkRow('etc/kept'),
    full: true,
    finds: 'links.row',
    says: /template os: \/etc\/kept: its row can't be read/,
    remedy: BACKUP,
    leaves: ['links.row'],
  },
  {
    of: 'a row that does not decode, in a root of format 1',
    async harm(root) {
      await junkRow('etc/kept')(root);
      writeFileSync(path.join(root, 'BYREF'), 'byref root, format 1\n');
    },
    finds: 'links.row',
    says: /etc\/kept: its row can't be read/,
    remedy: BACKUP,
    leaves: ['links.row'],
    // It can't be upgraded as long as a history can't be read.
    after: (root) =>
      expect(readFileSync(path.join(root, 'BYREF'), 'utf8')).toBe('byref root, format 1\n'),
  },
  {
    of: 'a row of a directory that does not decode',
    harm: junkRow('usr/lib'),
    full: true,
    finds: 'links.row',
    says: /template os: \/usr\/lib: its row can't be read/,
    remedy: BACKUP,
    leaves: ['links.row'],
  },
  {
    of: 'a row of changes that does not decode, and its inode neither',
    harm: (root) =>
      edit(root, (tables) => {
        const { key, ino } = linkAt(tables, OS, 'usr/bin/tool4');
        const inode = Buffer.alloc(8);
        inode.writeBigUInt64BE(BigInt(ino));
        tables.table('links').putSync(key, JUNK);
        tables.table('inodes').putSync(inode, JUNK);
      }),
    finds: 'links.row',
    also: ['inodes.row'],
    says: /tool4/,
    remedy: BACKUP,
    leaves: ['links.row', 'inodes.row'],
  },
  {
    of: 'a template that is gone, with all its names there',
    harm: (root) =>
      edit(root, (tables) => {
        tables.table('templates').removeSync(idKey(APP));
        tables.table('templateNames').removeSync(textKey('app'));
      }),
    finds: 'links.template',
    also: ['catalog.versions', 'envs.stack'],
    says: /template number 2: links has \d+ names of it/,
    remedy: BACKUP,
    leaves: ['links.template', 'catalog.versions', 'envs.stack'],
  },
  {
    of: 'a history out of order',
    harm: (root) => editLink(root, OS, 'usr/bin/tool4', (changes) => changes.toReversed()),
    finds: 'links.history',
    says: /tool4: its history is out of order \(versions 1, 2, 3\)/,
    remedy: BACKUP,
    leaves: ['links.history'],
  },
  {
    of: 'a version that is gone, with changes of it there',
    harm: (root) => edit(root, (t) => void t.table('versions').removeSync(versionKey(OS, 1))),
    finds: 'links.versions',
    says: /template os@1: it has no row, and \d+ names changed in it \(first \//,
    remedy: BACKUP,
    leaves: ['links.versions'],
  },
  {
    of: 'a row at another cookie',
    harm: misplace(false),
    full: true,
    finds: 'links.cookie',
    says: /usr\/lib\/same: its row stands at cookie \d+, not at \d+/,
    remedy: REPAIR,
  },
  {
    of: 'a second row at another cookie',
    harm: misplace(true),
    finds: 'links.cookie',
    also: ['objects.refs'],
    says: /another row is there/,
    remedy: BACKUP,
    leaves: ['links.cookie'],
  },
  {
    of: 'names in a directory that a version does not have',
    harm: (root) =>
      editLink(root, OS, 'usr/lib/deep', ([first, ...rest]) => [
        { version: first!.version, record: null },
        ...rest,
      ]),
    finds: 'links.parent',
    says: /template os: \/usr\/lib\/deep: version 3 has 1 names in it, and no such directory/,
    remedy: BACKUP,
    leaves: ['links.parent'],
  },
  {
    of: 'a directory that templateDirs lacks',
    harm: templateDir('usr/lib', null),
    finds: 'links.templateDirs',
    says: /usr\/lib: templateDirs has no row for it/,
    remedy: REPAIR,
  },
  {
    of: 'a directory that templateDirs has too late',
    harm: templateDir('usr/lib', encodeNumber(3)),
    finds: 'links.templateDirs',
    says: /templateDirs has it since version 3, and it is there since 1/,
    remedy: REPAIR,
  },
  {
    of: 'a row of templateDirs that does not decode',
    harm: templateDir('usr/lib', JUNK),
    finds: 'links.templateDirs',
    says: /templateDirs has a row for it that can't be read/,
    remedy: REPAIR,
  },
  {
    of: 'a row of templateDirs that does not decode, of a directory that the template never had',
    harm: (root) =>
      edit(root, (tables) => {
        const key = templateDirKey(OS, linkAt(tables, APP, 'opt/app').ino);
        tables.table('templateDirs').putSync(key, JUNK);
      }),
    finds: 'links.templateDirs',
    says: /\/opt\/app: templateDirs has a row for it that can't be read/,
    remedy: REPAIR,
  },
  {
    of: 'a directory with another number than the dictionary has',
    harm: (root) =>
      edit(root, (tables) => {
        const { key, changes } = linkAt(tables, OS, 'etc');
        const [first, ...rest] = changes;
        const record = { ...first!.record!, ino: unused(tables, 1) };
        const changed = [{ version: first!.version, record }, ...rest];
        tables.table('links').putSync(key, encodeHistory(changed));
      }),
    finds: 'links.ino',
    says: /\/etc: in version 3 its number is \d+, and the dictionary's \d+/,
    remedy: REPAIR,
  },
  {
    of: 'a file with a number of envs',
    harm: (root) => editRecord(root, OS, 'etc/kept', { ino: (PRIVATE_INO_BASE + 9) as Ino }),
    finds: 'links.ino',
    also: ['inodes.names'],
    says: /etc\/kept: in version 1 it is a file of number \d+, which can't be one's/,
    remedy: BACKUP,
    leaves: ['links.ino'],
  },
  {
    of: 'files of two templates with one number',
    harm: async (root) => {
      let ino = 0 as Ino;
      await edit(root, (tables) => {
        ({ ino } = linkAt(tables, OS, 'etc/kept'));
      });
      await editRecord(root, APP, 'usr/bin/app', { ino });
    },
    finds: 'links.ino',
    also: ['inodes.names'],
    says: /another template has a file of its number \d+, too/,
    remedy: BACKUP,
    leaves: ['links.ino'],
  },
  {
    of: 'a directory whose record says that it is elsewhere',
    harm: (root) => editRecord(root, OS, 'usr/lib', { name: 'x' as never }),
    finds: 'links.record',
    says: /usr\/lib: in version \d its record says that it is \/usr\/x/,
    remedy: REPAIR,
  },
  {
    of: "a file whose bytes are an env's",
    harm: (root) => editRecord(root, OS, 'etc/kept', { data: DATA_PRIVATE, object: '' }),
    finds: 'links.record',
    also: ['objects.refs'],
    says: /its bytes are where a template has none/,
    remedy: BACKUP,
    leaves: ['links.record'],
  },
  {
    of: 'a symlink without a target',
    harm: (root) => editRecord(root, OS, 'etc/empty', { mode: S_IFLNK | 0o777 }),
    finds: 'links.record',
    says: /etc\/empty: in version 1 it is a symlink without a target/,
    remedy: BACKUP,
    leaves: ['links.record'],
  },
  {
    of: 'a file with another size than its object',
    harm: (root) => editRecord(root, OS, 'etc/kept', { size: 77 }),
    finds: 'links.size',
    says: /etc\/kept: in version 1 its size is 77, and its object's 5/,
    remedy: REPAIR,
  },
  {
    of: 'a wrong link count of a directory',
    harm: (root) => editRecord(root, OS, 'etc', { nlink: 9 }),
    full: true,
    finds: 'links.nlink',
    says: /\/etc: in version 3 its link count is 9, and by its subdirectories 2/,
    remedy: REPAIR,
  },
  {
    of: 'a wrong link count of one name of a file',
    harm: (root) => editRecord(root, OS, 'usr/bin/hard1', { nlink: 9 }),
    full: true,
    finds: 'links.nlink',
    says: /hard1: in version 3 its link count is 9, and by its names 3/,
    remedy: REPAIR,
  },
  {
    of: 'a change of a directory that is lost',
    harm: (root) =>
      editLink(root, OS, 'etc', (changes) => changes.filter(({ version }) => version !== 2)),
    full: true,
    finds: 'links.nlink',
    also: ['changes.extra'],
    says: /\/etc: in version 2 its link count is/,
    remedy: BACKUP,
    leaves: ['links.nlink'],
  },
];
