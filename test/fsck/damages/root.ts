/** Damage to the root itself: its marker, its directories, the file of its tables. */
import { chmodSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { pageDamage } from '../../../src/base/lmdb-pages.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import { edit, JUNK, put } from '../../support/damage/edit-store.ts';

const marker = (root: string): string => path.join(root, 'BYREF');
const data = (root: string): string => path.join(root, 'meta/data.mdb');

export const rootDamages: readonly Damage[] = [
  {
    of: 'its marker is gone',
    harm: (root) => rmSync(marker(root)),
    finds: 'root.marker',
    says: /BYREF: it is missing/,
    remedy: REPAIR,
    after: (root) => expect(readFileSync(marker(root), 'utf8')).toBe('byref root, format 3\n'),
  },
  {
    of: 'its marker says something else',
    harm: (root) => writeFileSync(marker(root), 'bytef rot\n'),
    finds: 'root.marker',
    says: /it says "bytef rot"/,
    remedy: REPAIR,
  },
  {
    of: 'a directory is gone',
    harm: (root) => rmSync(path.join(root, 'mnt'), { recursive: true }),
    finds: 'root.layout',
    says: /mnt: it is missing/,
    remedy: REPAIR,
    after: (root) => expect(statSync(path.join(root, 'mnt')).mode & 0o777).toBe(0o700),
  },
  {
    of: 'a directory is none',
    harm(root) {
      rmSync(path.join(root, 'mnt'), { recursive: true });
      writeFileSync(path.join(root, 'mnt'), '');
    },
    finds: 'root.layout',
    says: /mnt: it is no directory/,
    remedy: /move it out of the way/,
    leaves: ['root.layout'],
  },
  {
    of: 'others can look into a directory',
    harm: (root) => chmodSync(path.join(root, 'objects'), 0o755),
    finds: 'root.layout',
    says: /objects: its mode is 755/,
    remedy: REPAIR,
    after: (root) => expect(statSync(path.join(root, 'objects')).mode & 0o777).toBe(0o700),
  },
  {
    of: 'its tables are cut short',
    harm: (root) => truncateSync(data(root), statSync(data(root)).size / 2),
    finds: 'root.pages',
    says: /beyond the end of the file/,
    remedy: BACKUP,
    leaves: ['root.pages'],
  },
  {
    of: 'a page of its tables is zeros',
    harm: (root) => zeroOnePage(data(root)),
    finds: 'root.pages',
    says: /its page \d+ is another one/,
    remedy: BACKUP,
    leaves: ['root.pages'],
  },
  {
    of: 'the first pages of its tables are junk',
    harm: (root) => overwrite(data(root), 0, Buffer.alloc(8192, 0xa7)),
    finds: 'root.pages',
    says: /meta page at byte 0/,
    remedy: BACKUP,
    leaves: ['root.pages'],
  },
  {
    of: 'its tables are gone',
    harm: (root) => rmSync(data(root)),
    finds: 'root.pages',
    says: /no such file/,
    remedy: BACKUP,
    leaves: ['root.pages'],
  },
  {
    of: 'a table is missing',
    harm: (root) => edit(root, (tables) => tables.table('templateDirs').dropSync()),
    finds: 'root.tables',
    also: ['links.templateDirs'],
    says: /table templateDirs: it is missing/,
    remedy: REPAIR,
  },
  {
    of: 'an index has a key that is none',
    harm: put('inodes', Buffer.from('abc'), JUNK),
    finds: 'root.tables',
    says: /table inodes, key 616263: .* never has 3 bytes/,
    remedy: REPAIR,
  },
  {
    of: 'a table of rows has a key that is none',
    harm: put('links', Buffer.from('abc'), JUNK),
    finds: 'root.tables',
    says: /table links/,
    remedy: BACKUP,
    leaves: ['root.tables'],
  },
];

function overwrite(file: string, at: number, bytes: Buffer): void {
  const whole = readFileSync(file);
  bytes.copy(whole, at);
  writeFileSync(file, whole);
}

/** A page that is in use: others are never looked at. */
function zeroOnePage(file: string): void {
  const whole = readFileSync(file);
  for (let page = whole.length / PAGE - 1; pageDamage(file) === null; page--) {
    writeFileSync(file, whole);
    overwrite(file, page * PAGE, Buffer.alloc(PAGE));
  }
}

const PAGE = 4096;
