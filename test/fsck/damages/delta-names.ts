/** Damage to what an env's names and inodes say of each other. */
import * as fs from 'node:fs';
import { expect } from 'vitest';
import { type Ino, nameFromText, ROOT_INO } from '../../../src/base/ids.ts';
import { S_IFDIR, S_IFREG } from '../../../src/base/mode.ts';
import { NameState } from '../../../src/driver/delta/generation.ts';
import { encodeName, inoKey } from '../../../src/driver/delta/table-rows.ts';
import { type Damage, REPAIR_UNMOUNTED, RESTORE_ENV } from '../../support/damage/damage.ts';
import {
  changeDelta,
  editInode,
  editRaw,
  nameKey,
  own,
  privateFile,
  unusedIno,
} from '../../support/damage/edit-delta.ts';
import { inode } from '../../support/trees/inode-record.ts';

/** A name in the env's root that leads to this inode. */
const addName = (name: string, ino: Ino, type: number) => (root: string) =>
  editRaw(root, ({ names }) => {
    const state = new NameState(ROOT_INO, nameFromText(name), ino, type, true);
    const key = nameKey(ROOT_INO, nameFromText(name));
    names.putSync(key, encodeName(key, state));
  });

const forgetName = (name: string) => async (root: string) => {
  const { dir } = await own(root, name);
  await editRaw(root, ({ names }) => void names.removeSync(nameKey(dir, nameFromText(name))));
};

export const nameDamages: readonly Damage[] = [
  {
    of: 'a name that leads nowhere',
    harm: async (root) => addName('dead', await unusedIno(root), S_IFREG)(root),
    finds: 'delta.names',
    says: /env web: \/dead: it leads to inode \d{16}, which has no record/,
    remedy: /byref fsck --repair takes the name away/,
  },
  {
    of: "a name that leads to a template's number that nothing has",
    harm: addName('dead', 99_999 as Ino, S_IFREG),
    finds: 'delta.names',
    says: /\/dead: it leads to inode 99999/,
    remedy: /takes the name away/,
  },
  {
    of: 'a record that is lost, with the bytes of its file there',
    async harm(root) {
      const { ino } = await own(root, 'big');
      await editRaw(root, ({ inodes }) => void inodes.removeSync(inoKey(ino)));
    },
    finds: 'delta.names',
    also: ['delta.extra'],
    says: /\/srv\/big: it leads to inode \d+, which has no record/,
    remedy: /its bytes are in .*envs\/1\/private\/\w+: copy them/,
    leaves: ['delta.names', 'delta.extra'],
  },
  {
    of: 'a name of another type than its inode',
    async harm(root) {
      const { dir, name, ino } = await own(root, 'big');
      const state = new NameState(dir, name, ino, S_IFDIR, true);
      await editRaw(root, ({ names }) => {
        const key = nameKey(dir, name);
        names.putSync(key, encodeName(key, state));
      });
    },
    finds: 'delta.names',
    says: /its name says type 40000, and its inode \d+ is of type 100000/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'an inode that no name leads to',
    harm: forgetName('sym'),
    finds: 'delta.inodes',
    says: /no name leads to inode \d+/,
    remedy: RESTORE_ENV,
    leaves: ['delta.inodes'],
  },
  {
    of: 'a file of bytes that no name leads to',
    harm: forgetName('big'),
    finds: 'delta.inodes',
    says: /no name leads to inode \d+/,
    remedy: /its bytes are in .*envs\/1\/private\/\w+: copy them/,
    leaves: ['delta.inodes'],
  },
  {
    of: 'a wrong link count of a file',
    harm: editInode('big', { nlink: 4 }),
    finds: 'delta.links',
    says: /env web: \/srv\/big: its link count is 4, and it has 1 names/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'a file that has a name, and is said to have none',
    async harm(root) {
      await editInode('big', { nlink: 0 })(root);
      const { ino } = await own(root, 'big');
      await editRaw(root, ({ marks }) => marks.putSync(inoKey(ino), Buffer.of(1)));
    },
    finds: 'delta.links',
    says: /\/srv\/big: its link count is 0, and it has 1 names/,
    remedy: REPAIR_UNMOUNTED,
    // The next mount would have taken it for an orphan, and its bytes with it.
    async after(root) {
      const { ino, record } = await own(root, 'big');
      expect(record.nlink).toBe(1);
      expect(fs.statSync(privateFile(root, ino)).size).toBe(2 ** 20);
    },
  },
  {
    of: "a link count that is too low, of a file with a template's bytes",
    harm: editInode('tool4', { nlink: 1 }),
    finds: 'delta.links',
    says: /tool4: its link count is 1, and it has 2 names/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'a wrong link count of a directory of its own',
    harm: editInode('srv', { nlink: 8 }),
    finds: 'delta.links',
    says: /env web: \/srv: its link count is 8, and by its subdirectories 2/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'a directory whose record says that it is elsewhere',
    harm: editInode('dir', { name: nameFromText('other') }),
    finds: 'delta.dirs',
    says: /\/var\/dir: its record says that it hangs in directory \d+, as "other"/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'a directory with two names',
    async harm(root) {
      const { ino } = await own(root, 'b');
      await addName('second', ino, S_IFDIR)(root);
    },
    finds: 'delta.dirs',
    says: /directory \d+ has 2 names, and can have one/,
    remedy: RESTORE_ENV,
    leaves: ['delta.dirs'],
  },
  {
    of: 'names in a directory whose record is lost',
    async harm(root) {
      const { ino } = await own(root, 'b');
      await forgetName('b')(root);
      await editRaw(root, ({ inodes }) => void inodes.removeSync(inoKey(ino)));
    },
    finds: 'delta.dirs',
    also: ['delta.links'],
    says: /1 names are in directory \d+, which the env does not have/,
    remedy: RESTORE_ENV,
    leaves: ['delta.dirs', 'delta.links'],
  },
  {
    of: 'a directory that has names, and is said to be removed',
    harm: editInode('b', { nlink: 0 }),
    finds: 'delta.links',
    also: ['delta.marks'],
    says: /var\/dir\/a\/b: its link count is 0, and by its subdirectories 2/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'names in a directory that was removed',
    async harm(root) {
      await editInode('b', { nlink: 0 })(root);
      await forgetName('b')(root);
    },
    finds: 'delta.dirs',
    also: ['delta.links', 'delta.marks'],
    says: /1 names are in directory \d+, which was removed/,
    remedy: RESTORE_ENV,
    leaves: ['delta.dirs', 'delta.links', 'delta.marks'],
  },
  {
    of: 'a directory of a template that was moved, and that no name leads to',
    harm: forgetName('moved'),
    finds: 'delta.dirs',
    says: /its record says that it was moved, and no name leads to directory \d+/,
    remedy: RESTORE_ENV,
    leaves: ['delta.dirs'],
  },
  {
    of: 'a directory that no name leads to',
    harm: forgetName('dir'),
    finds: 'delta.inodes',
    says: /no name leads to inode \d+/,
    remedy: RESTORE_ENV,
    leaves: ['delta.inodes'],
  },
  {
    of: 'directories in each other',
    async harm(root) {
      await changeDelta(root, (change, allocate) => {
        const [one, two] = [allocate(), allocate()];
        const hang = (ino: Ino, parent: Ino, name: string): void => {
          const where = { parent, name: nameFromText(name) };
          change.setInode(inode(ino, { mode: S_IFDIR | 0o755, nlink: 3, ...where }));
          change.setName(parent, nameFromText(name), ino, S_IFDIR);
        };
        hang(one, two, 'one');
        hang(two, one, 'two');
      });
    },
    finds: 'delta.loops',
    says: /directory \d+ hangs in itself/,
    remedy: RESTORE_ENV,
    leaves: ['delta.loops'],
  },
];
