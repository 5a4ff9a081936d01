/** Damage to templates and their versions. */
import {
  decodeTemplate,
  decodeVersion,
  encodeTemplate,
  encodeVersion,
  type TemplateRow,
  type VersionRow,
} from '../../../src/codec/store-rows.ts';
import { idKey, textKey, versionKey } from '../../../src/store/keys.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import { APP, BASED, edit, JUNK, OS, put } from '../../support/damage/edit-store.ts';

const editTemplate =
  (fields: Partial<TemplateRow>, at = OS) =>
  (root: string) =>
    edit(root, (tables) => {
      const row = decodeTemplate(tables.table('templates').get(idKey(at))!);
      tables.table('templates').putSync(idKey(at), encodeTemplate({ ...row, ...fields }));
    });

const editVersion =
  (number: number, fields: Partial<VersionRow>, at = OS) =>
  (root: string) =>
    edit(root, (tables) => {
      const key = versionKey(at, number);
      const row = decodeVersion(tables.table('versions').get(key)!);
      tables.table('versions').putSync(key, encodeVersion({ ...row, ...fields }));
    });

export const catalogDamages: readonly Damage[] = [
  {
    of: 'a row that does not decode',
    harm: put('templates', idKey(OS), JUNK),
    finds: 'catalog.row',
    says: /template os: its row can't be read/,
    remedy: BACKUP,
    leaves: ['catalog.row'],
  },
  {
    of: 'a row of another template',
    harm: editTemplate({ id: 7 }),
    finds: 'catalog.row',
    says: /says that it is of template 7/,
    remedy: BACKUP,
    leaves: ['catalog.row'],
  },
  {
    of: 'a name that is not indexed',
    harm: (root) => edit(root, (t) => void t.table('templateNames').removeSync(textKey('os'))),
    finds: 'catalog.names',
    says: /template os: templateNames lacks it/,
    remedy: REPAIR,
  },
  {
    of: 'a name that leads to another template',
    harm: put('templateNames', textKey('os'), idKey(2)),
    finds: 'catalog.names',
    says: /template os: templateNames says that it is number 2/,
    remedy: REPAIR,
  },
  {
    of: 'a name whose number does not decode',
    harm: put('templateNames', textKey('os'), Buffer.from('abc')),
    finds: 'catalog.names',
    says: /says that it is number \?/,
    remedy: REPAIR,
  },
  {
    of: 'a name of no template',
    harm: put('templateNames', textKey('nobody'), idKey(3)),
    finds: 'catalog.names',
    says: /template nobody: templateNames has the name for number 3/,
    remedy: REPAIR,
  },
  {
    of: 'a kind that is none',
    harm: (root) =>
      edit(root, (tables) => {
        const row = tables.table('templates').get(idKey(2))!;
        row[6] = 7;
        tables.table('templates').putSync(idKey(2), row);
      }),
    finds: 'catalog.kind',
    says: /template app: its row is not as byref writes it/,
    remedy: BACKUP,
    leaves: ['catalog.kind'],
  },
  {
    of: 'a current version that does not exist',
    harm: editTemplate({ current: 9 }),
    finds: 'catalog.current',
    says: /its current version 9 does not exist: it has 1, 2, 3/,
    remedy: BACKUP,
    leaves: ['catalog.current'],
  },
  {
    of: 'a newest version that is not the highest',
    harm: editTemplate({ newest: 2 }),
    finds: 'catalog.newest',
    says: /the highest number it has given is 2, and it has version 3/,
    remedy: REPAIR,
  },
  {
    of: 'versions of no template',
    harm: (root) =>
      edit(root, (tables) => {
        const row = tables.table('versions').get(versionKey(OS, 1))!;
        tables.table('versions').putSync(versionKey(3, 1), row);
      }),
    finds: 'catalog.versions',
    says: /template number 3: it has versions/,
    remedy: BACKUP,
    leaves: ['catalog.versions'],
  },
  {
    of: 'a version that does not decode',
    harm: put('versions', versionKey(OS, 1), JUNK),
    finds: 'catalog.row',
    says: /template os@1: its row can't be read/,
    remedy: BACKUP,
    leaves: ['catalog.row'],
  },
  {
    of: 'a version of another number',
    harm: editVersion(1, { number: 4 }),
    finds: 'catalog.row',
    says: /template os@1: .* of version 4/,
    remedy: BACKUP,
    leaves: ['catalog.row'],
  },
  {
    of: 'a current version that is said to be staged',
    harm: editVersion(2, { staged: true }),
    finds: 'catalog.staged',
    says: /template os@2: it is current, and is said to be staged/,
    remedy: REPAIR,
  },
  {
    of: 'a base that has not that version',
    harm: editVersion(1, { base: { templateId: OS, version: 9 } }, BASED),
    finds: 'catalog.base',
    says: /template based@1: it was installed on os@9, which does not exist/,
    remedy: /byref template update based\), then remove this version, or restore/,
    leaves: ['catalog.base'],
  },
  {
    of: 'a base that does not exist',
    harm: editVersion(1, { base: { templateId: 3, version: 1 } }, BASED),
    finds: 'catalog.base',
    says: /it was installed on template number 3, which does not exist/,
    remedy: BACKUP,
    leaves: ['catalog.base'],
  },
  {
    of: 'a base that is an app',
    harm: editVersion(1, { base: { templateId: APP, version: 1 } }, BASED),
    finds: 'catalog.base',
    says: /it was installed on app@1, which is of kind app/,
    remedy: BACKUP,
    leaves: ['catalog.base'],
  },
  {
    of: 'wrong counts of a version',
    harm: editVersion(2, { files: 1, directories: 2, bytes: 3 }),
    full: true,
    finds: 'catalog.counts',
    says: /template os@2: its row says 1 files, not \d+; 2 directories, not \d+; 3 bytes/,
    remedy: REPAIR,
  },
  {
    of: 'a version that shows another tree than was added',
    harm: put('identities', versionKey(OS, 2), Buffer.alloc(33, 1)),
    full: true,
    finds: 'catalog.identity',
    says: /template os@2: its rows show another tree than the one that was added/,
    remedy: REPAIR,
  },
];
