/** Damage to the root itself: its marker, its directories, the file of its tables. */
import { chmodSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { nameFromText, ROOT_INO } from '../../../src/base/ids.ts';
import { pageDamage } from '../../../src/base/lmdb-pages.ts';
import { encodeSettings, NO_SETTINGS } from '../../../src/codec/env-settings.ts';
import { dirKey, idKey, textKey, versionKey } from '../../../src/store/keys.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import { edit, JUNK, linkAt, OS, put } from '../../support/damage/edit-store.ts';
import { flipBits } from '../../support/damage/raw-rows.ts';

const marker = (root: string): string => path.join(root, 'BYREF');
const data = (root: string): string => path.join(root, 'meta/data.mdb');

/** What a row is restored from whose bytes are others. */
const RESTORE = /byref fsck --restore-store/;

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
  {
    of: 'a single bit of a name in a template is wrong',
    harm: (root) => flipLink(root, 'etc/kept', 300),
    finds: 'root.rows',
    says: /\/etc\/kept in template os: a single bit of its row in table links is wrong/,
    remedy: REPAIR,
  },
  {
    of: 'a single bit of the key of a name in a template is wrong',
    harm: (root) => flipLink(root, 'etc/kept', 8 * 21),
    finds: 'root.rows',
    says: /\/etc\/kept in template os: a single bit of its row/,
    also: ['inodes.names'],
    remedy: REPAIR,
  },
  {
    of: 'two bits of a name in a template are wrong',
    harm: (root) => flipLink(root, 'etc/kept', 300, 333),
    finds: 'links.row',
    says: /template os: \/etc\/kept: its row can't be read \(its bytes do not match its sum\)/,
    remedy: RESTORE,
    leaves: ['links.row'],
  },
  {
    of: 'a single bit of the place of a directory is wrong',
    harm: (root) => flipBits(root, 'dirs', dirKey(ROOT_INO, nameFromText('etc')), 8 * 12 + 1),
    finds: 'root.rows',
    says: /directory \/etc: a single bit of its row in table dirs is wrong/,
    remedy: REPAIR,
  },
  {
    of: 'the settings of an env are damaged',
    harm: async (root) => {
      await edit(root, (t) => t.table('settings').putSync(idKey(1), encodeSettings(NO_SETTINGS)));
      await flipBits(root, 'settings', idKey(1), 100, 200);
    },
    finds: 'root.rows',
    says: /the settings of env web: its row in table settings can't be read/,
    remedy: RESTORE,
    leaves: ['root.rows'],
  },
  {
    of: 'the identity of a version is damaged',
    harm: (root) => flipBits(root, 'identities', versionKey(OS, 1), 100, 200),
    finds: 'root.rows',
    says: /the identity of template os@1: its row in table identities can't be read/,
    remedy: /byref fsck --repair removes it/,
    full: true,
  },
  {
    of: 'a number that no check knows is damaged',
    harm: async (root) => {
      await edit(root, (tables) => tables.setNumber('lostEnvsFrom', 9));
      await flipBits(root, 'meta', textKey('lostEnvsFrom'), 1, 9);
    },
    finds: 'root.rows',
    says: /its row in table meta can't be read/,
    remedy: RESTORE,
    leaves: ['root.rows'],
  },
];

/** Changes bits of the row of a path in the first template. */
async function flipLink(root: string, where: string, ...bits: readonly number[]): Promise<void> {
  let key: Buffer | undefined;
  await edit(root, (tables) => {
    key = linkAt(tables, OS, where).key;
  });
  await flipBits(root, 'links', key!, ...bits);
}

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
