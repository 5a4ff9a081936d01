/** Damage to an env's link table, and to its journal. */
import * as fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Ino, nameFromText, PRIVATE_INO_BASE, ROOT_INO } from '../../../src/base/ids.ts';
import { S_IFREG } from '../../../src/base/mode.ts';
import type { Change } from '../../../src/driver/core/ports.ts';
import {
  decodeState,
  encodeInodeValue,
  encodeName,
  encodeState,
  inoKey,
  STATE_KEY,
} from '../../../src/driver/delta/table-rows.ts';
import { type Damage, REPAIR_UNMOUNTED, RESTORE_ENV } from '../../support/damage/damage.ts';
import {
  changeDelta,
  crashAfter,
  editRaw,
  nameKey,
  own,
  unusedIno,
  webDir,
} from '../../support/damage/edit-delta.ts';
import { JUNK } from '../../support/damage/edit-store.ts';
import { inode } from '../../support/trees/inode-record.ts';

const link = (root: string): string => path.join(webDir(root), 'link/data.mdb');

/** An inode that is open and has lost its last name, as long as its driver lives. */
const addOrphan = (root: string): Promise<Ino> =>
  changeDelta(root, (change, allocate) => {
    const ino = allocate();
    change.setInode(inode(ino, { nlink: 0 }));
    return ino;
  });

export const tableDamages: readonly Damage[] = [
  {
    of: 'a link table that LMDB would trip over',
    harm: (root) => fs.truncateSync(link(root), 9000),
    finds: 'delta.pages',
    says: /env web: .*link\/data\.mdb: it can't be read: its page \d+ is beyond the end of the file/,
    remedy: RESTORE_ENV,
    leaves: ['delta.pages'],
  },
  {
    of: 'a link table whose state does not decode',
    harm: (root) => editRaw(root, ({ meta }) => meta.putSync(STATE_KEY, JUNK)),
    finds: 'delta.table',
    says: /env web: its changes can't be read/,
    remedy: RESTORE_ENV,
    leaves: ['delta.table'],
  },
  {
    of: 'a link table that is gone',
    harm: (root) => fs.rmSync(path.dirname(link(root)), { recursive: true }),
    finds: 'delta.table',
    says: /its link table is gone, and \d+ private files are there/,
    remedy: RESTORE_ENV,
    leaves: ['delta.table'],
    after: (root) =>
      expect(fs.readdirSync(path.join(webDir(root), 'private')).length).toBeGreaterThan(3),
  },
  {
    of: 'an inode that does not decode',
    async harm(root) {
      const { ino } = await own(root, 'big');
      await editRaw(root, ({ inodes }) => inodes.putSync(inoKey(ino), JUNK));
    },
    finds: 'delta.row',
    says: /a row of inodes is damaged \(link table row of version 153/,
    remedy: RESTORE_ENV,
    leaves: ['delta.row'],
  },
  {
    of: 'an inode at the number of another',
    async harm(root) {
      const { record } = await own(root, 'big');
      const key = inoKey((await own(root, 'fifo')).ino);
      await editRaw(root, ({ inodes }) => inodes.putSync(key, encodeInodeValue(key, record)));
    },
    finds: 'delta.row',
    says: /its record is of inode \d+/,
    remedy: RESTORE_ENV,
    leaves: ['delta.row'],
  },
  {
    of: 'a name that does not decode',
    async harm(root) {
      const { dir, name } = await own(root, 'big');
      await editRaw(root, ({ names }) => names.putSync(nameKey(dir, name), JUNK));
    },
    finds: 'delta.row',
    says: /a row of names is damaged/,
    remedy: RESTORE_ENV,
    leaves: ['delta.row'],
  },
  {
    of: 'a name at another cookie',
    async harm(root) {
      const { dir, name, ino } = await own(root, 'big');
      const key = nameKey(dir, name, 77);
      await editRaw(root, ({ names }) => {
        names.putSync(key, encodeName(key, { ino, type: S_IFREG }));
        names.removeSync(nameKey(dir, name));
      });
    },
    finds: 'delta.row',
    says: /it stands at cookie 77, not at \d+/,
    remedy: RESTORE_ENV,
    leaves: ['delta.row'],
  },
  {
    of: 'an inode of which one bit is another',
    async harm(root) {
      const key = inoKey((await own(root, 'big')).ino);
      await editRaw(root, ({ inodes }) => {
        const value = Buffer.from(inodes.get(key)!);
        // The lowest bit of its owner.
        value[15]! ^= 1;
        inodes.putSync(key, value);
      });
    },
    finds: 'delta.row',
    says: /a row of inodes is damaged \(its bytes do not match its sum/,
    remedy: RESTORE_ENV,
    leaves: ['delta.row'],
  },
  {
    of: 'an orphan that recovery would not look at',
    async harm(root) {
      const ino = await addOrphan(root);
      await editRaw(root, ({ marks }) => void marks.removeSync(inoKey(ino)));
    },
    finds: 'delta.marks',
    says: /the mark of inode \d+ is wrong: recovery would not look at it/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'a mark of what needs none',
    async harm(root) {
      const { ino } = await own(root, 'big');
      await editRaw(root, ({ marks }) => marks.putSync(inoKey(ino), Buffer.of(1)));
    },
    finds: 'delta.marks',
    says: /\/srv\/big: the mark of inode \d+ is wrong: there is nothing to recover/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'a mark of no inode',
    async harm(root) {
      const ino = await unusedIno(root);
      await editRaw(root, ({ marks }) => marks.putSync(inoKey(ino), Buffer.of(1)));
    },
    finds: 'delta.marks',
    says: /there is no such inode/,
    remedy: REPAIR_UNMOUNTED,
  },
  {
    of: 'a journal with a hole',
    async harm(root) {
      const whiteout = (name: string) => (change: Change) =>
        change.setName(ROOT_INO, nameFromText(name), 0, 0);
      await crashAfter(root, ['x', 'y', 'z'].map(whiteout));
      const file = fs.readdirSync(webDir(root)).find((name) => name.startsWith('journal.'))!;
      const bytes = fs.readFileSync(path.join(webDir(root), file));
      bytes[70] = bytes[70]! ^ 1;
      fs.writeFileSync(path.join(webDir(root), file), bytes);
    },
    finds: 'delta.journal',
    says: /env web: .*damaged at byte 64, change \d+ is lost/,
    remedy: /mount it, copy what is needed, then restore/,
    leaves: ['delta.journal'],
  },
  {
    of: 'a next number that is in use',
    harm: (root) =>
      editRaw(root, ({ meta }) => {
        const state = decodeState(meta.get(STATE_KEY)!);
        meta.putSync(STATE_KEY, encodeState({ ...state, nextIno: PRIVATE_INO_BASE + 2 }));
      }),
    finds: 'delta.next',
    says: /env web: the next inode is to be 2251799813685250, and \d+ is in use/,
    remedy: REPAIR_UNMOUNTED,
  },
];
