/** Damage to what is composed, and to what apps share beside it. */

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { nameFromText, type ObjectId, ROOT_INO } from '../../../src/base/ids.ts';
import {
  decodeTemplate,
  encodeNumber,
  encodeTemplate,
  type TemplateRow,
} from '../../../src/codec/store-rows.ts';
import { removeTemplateRows } from '../../../src/manager/upkeep/gc/remove-version.ts';
import { idKey, textKey, versionKey } from '../../../src/store/keys.ts';
import { rawTables } from '../../../src/store/raw-tables.ts';
import { openStore, type Store } from '../../../src/store/store.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import { COMPOSED, edit, JUNK, put } from '../../support/damage/edit-store.ts';

/** What `newer` sees in etc/group. */
const MERGED = 'root:x:0:\nusers:x:100:\nsvc:x:400:\n';
const LABEL = 'os@3 \\+ based@1';

const editComposition = (fields: Partial<TemplateRow>) => (root: string) =>
  edit(root, (tables) => {
    const row = decodeTemplate(tables.table('templates').get(idKey(COMPOSED))!);
    tables.table('templateNames').removeSync(textKey(row.name));
    const edited = { ...row, ...fields };
    tables.table('templateNames').putSync(textKey(edited.name), idKey(COMPOSED));
    tables.table('templates').putSync(idKey(COMPOSED), encodeTemplate(edited));
  });

async function withStore(root: string, work: (store: Store) => void): Promise<void> {
  const store = await openStore(root, { write: true });
  try {
    work(store);
  } finally {
    await store.close();
  }
}

const isMerged = (root: string): Promise<void> =>
  withStore(root, (store) => {
    expect(store.catalog.compositions()).toHaveLength(1);
    const lower = store.lowerTree(store.resolveStack(store.needEnv('newer')));
    const etc = lower.lookup(ROOT_INO, nameFromText('etc'))!;
    const { object } = lower.lookup(etc.ino, nameFromText('group'))!;
    expect(fs.readFileSync(store.objects.path(object as ObjectId), 'utf8')).toBe(MERGED);
  });

const mergedFile = (root: string): string => {
  const id = createHash('sha256').update(MERGED).digest('hex');
  return path.join(root, 'objects', id.slice(0, 2), id.slice(2));
};

export const compositionDamages: readonly Damage[] = [
  {
    of: 'one that is gone, of an env',
    harm: (root) =>
      withStore(root, (store) => {
        const [row] = store.catalog.compositions();
        rawTables(store).transaction(() => removeTemplateRows(store, row!));
      }),
    finds: 'envs.composition',
    says: new RegExp(`env newer: nothing is composed for ${LABEL}: .* those of the topmost one`),
    remedy: REPAIR,
    after: isMerged,
  },
  {
    of: 'one for a version that is gone',
    harm: editComposition({ name: '=1@7 4@1' }),
    finds: 'catalog.composition',
    also: ['envs.composition'],
    severity: 'leftover',
    says: new RegExp(`composition ${LABEL}: it is made for os@7, which does not exist`),
    remedy: /removes it/,
    after: isMerged,
  },
  {
    of: 'one for a template that is gone',
    harm: editComposition({ name: '=1@3 3@1' }),
    finds: 'catalog.composition',
    also: ['envs.composition'],
    severity: 'leftover',
    says: /it is made for template number 3, which does not exist/,
    remedy: /removes it/,
    after: isMerged,
  },
  {
    of: 'one whose name says nothing',
    harm: editComposition({ name: '=what' }),
    finds: 'catalog.composition',
    also: ['envs.composition'],
    severity: 'leftover',
    says: /its name "=what" does not say what it is made for/,
    remedy: /removes it/,
    after: isMerged,
  },
  {
    of: 'one with two versions',
    harm: (root) =>
      withStore(root, (store) => {
        const [version] = store.versions(COMPOSED);
        rawTables(store).transaction(() =>
          store.catalog.putVersion(COMPOSED, { ...version!, number: 2 }),
        );
      }),
    finds: 'catalog.composition',
    says: /it has one version, number 1, and here it has 1, 2, of which 1 is current/,
    remedy: /removes the composition, and makes it again/,
    after: isMerged,
  },
  {
    of: 'one whose current version is another',
    harm: editComposition({ current: 2 }),
    finds: 'catalog.composition',
    says: /here it has 1, of which 2 is current/,
    remedy: /removes the composition, and makes it again/,
    after: isMerged,
  },
  {
    of: 'one that does not say that it is one',
    harm: editComposition({ kind: 'app' }),
    finds: 'catalog.kind',
    says: /its name is a composition's, and it is of kind app/,
    remedy: REPAIR,
    after: isMerged,
  },
  {
    of: 'one that is not found by its name',
    harm: (root) =>
      edit(root, (t) => void t.table('templateNames').removeSync(textKey('=1@3 4@1'))),
    finds: 'catalog.names',
    also: ['envs.composition'],
    says: new RegExp(`composition ${LABEL}: templateNames lacks it`),
    remedy: REPAIR,
    after: isMerged,
  },
  {
    of: 'a version of one that does not decode',
    harm: put('versions', versionKey(COMPOSED, 1), JUNK),
    finds: 'catalog.row',
    says: /composition =1@3 4@1: its row can't be read/,
    remedy: BACKUP,
    leaves: ['catalog.row'],
  },
  {
    of: 'an object of one, whose file is missing',
    harm: (root) => fs.rmSync(mergedFile(root)),
    finds: 'objects.missing',
    says: new RegExp(`needed by ${LABEL} /etc/group; seen by env newer`),
    remedy: /removes the composition, and makes it again/,
    after: isMerged,
  },
  {
    of: 'an object of one, with other bytes',
    harm(root) {
      fs.chmodSync(mergedFile(root), 0o600);
      fs.writeFileSync(mergedFile(root), MERGED.toUpperCase());
      fs.chmodSync(mergedFile(root), 0o400);
    },
    full: true,
    finds: 'objects.content',
    says: /its file has other bytes; needed by os@3 \+ based@1/,
    remedy: /removes the composition, and makes it again/,
    after: isMerged,
  },
];

const account = (name: string, number: number) =>
  put('accounts', textKey(name), encodeNumber(number));

export const accountDamages: readonly Damage[] = [
  {
    of: 'a row that does not decode',
    harm: put('accounts', textKey('u:svc'), JUNK),
    finds: 'accounts.row',
    says: /user svc: its row can't be read/,
    remedy: BACKUP,
    leaves: ['accounts.row'],
  },
  {
    of: 'a key that is none',
    harm: account('svc', 401),
    finds: 'accounts.row',
    says: /table accounts, key 737663: its key is not that of a user or a group/,
    remedy: BACKUP,
    leaves: ['accounts.row'],
  },
  {
    of: 'the number of root',
    harm: account('u:other', 0),
    finds: 'accounts.row',
    says: /user other: its number is 0, which no account of an app has/,
    remedy: BACKUP,
    leaves: ['accounts.row'],
  },
  {
    of: 'one number for two names',
    harm: account('g:other', 400),
    finds: 'accounts.number',
    says: /group svc: it has the number of group other, 400/,
    remedy: BACKUP,
    leaves: ['accounts.number'],
  },
];
