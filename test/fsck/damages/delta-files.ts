/** Damage to the bytes of an env's files. */
import * as fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Ino, PRIVATE_INO_BASE } from '../../../src/base/ids.ts';
import type { Damage } from '../../support/damage/damage.ts';
import { changeDelta, own, privateFile, webDir } from '../../support/damage/edit-delta.ts';

/** A number that no inode has: what is made for one is there before its record is. */
const STRAY = (PRIVATE_INO_BASE + 0xf0000) as Ino;

export const fileDamages: readonly Damage[] = [
  {
    of: 'a private file that is missing',
    async harm(root) {
      fs.rmSync(privateFile(root, (await own(root, 'big')).ino));
    },
    finds: 'delta.private',
    says: /env web: \/srv\/big: its bytes are missing: .*envs\/1\/private\/\w+/,
    remedy: /restore .*private\/\w+ from a backup, or remove the file in the env/,
    leaves: ['delta.private'],
  },
  {
    of: 'a private file that is a directory',
    async harm(root) {
      const file = privateFile(root, (await own(root, 'big')).ino);
      fs.rmSync(file);
      fs.mkdirSync(file);
    },
    finds: 'delta.private',
    says: /is no regular file/,
    remedy: /restore .*private\/\w+ from a backup/,
    leaves: ['delta.private'],
  },
  {
    of: 'an object that is missing',
    async harm(root) {
      const { object } = (await own(root, 'tool3')).record;
      fs.rmSync(path.join(root, 'objects', object.slice(0, 2), object.slice(2)));
    },
    finds: 'delta.object',
    also: ['objects.missing'],
    says: /env web: \/usr\/bin\/tool3: its bytes are object \w{64}, whose file is missing/,
    remedy: /import the source of os@2 again/,
    leaves: ['delta.object', 'objects.missing'],
  },
  {
    of: 'a package of its own, of which a file is the template’s',
    async harm(root) {
      const { dir, name, ino } = await own(root, 'pkg');
      await changeDelta(root, (change) => {
        change.clearName(dir, name);
        change.clearInode(ino);
      });
      fs.rmSync(privateFile(root, ino));
    },
    finds: 'delta.packages',
    says: /env web: \/usr\/share\/pkg: it is the template's, and dpkg has pkg 9 in the env/,
    remedy: /install pkg again in the env/,
    leaves: ['delta.packages'],
  },
  {
    of: 'a private file that no inode names',
    harm: (root) => fs.writeFileSync(privateFile(root, STRAY), 'x'),
    finds: 'delta.extra',
    severity: 'leftover',
    says: /envs\/1\/private\/80000000f0000: a private file that no inode names/,
    remedy: /moves it to lost\+found/,
    leaves: ['delta.lost'],
    after: (root) => expect(fs.existsSync(privateFile(root, STRAY))).toBe(false),
  },
  {
    of: 'a private file that no inode names, where an inode lacks its file',
    async harm(root) {
      const file = privateFile(root, (await own(root, 'big')).ino);
      fs.renameSync(file, privateFile(root, STRAY));
    },
    finds: 'delta.extra',
    also: ['delta.private'],
    severity: 'leftover',
    says: /a private file that no inode names/,
    remedy: /moves it to lost\+found/,
    leaves: ['delta.extra', 'delta.private'],
    after: (root) => expect(fs.existsSync(privateFile(root, STRAY))).toBe(true),
  },
  {
    of: 'a link table that was not finished',
    harm: (root) => fs.mkdirSync(path.join(webDir(root), 'link.new')),
    finds: 'delta.extra',
    severity: 'leftover',
    says: /link\.new: a link table that was not finished/,
    remedy: /removes it/,
  },
  {
    of: 'a merge of a patch that has ended',
    harm: (root) => fs.writeFileSync(path.join(webDir(root), 'merge.1.0'), 'merged'),
    finds: 'delta.extra',
    severity: 'leftover',
    says: /merge\.1\.0: a file of patch 1, which has ended/,
    remedy: /removes it/,
    after: (root) => expect(fs.existsSync(path.join(webDir(root), 'merge.1.0'))).toBe(false),
  },
];
