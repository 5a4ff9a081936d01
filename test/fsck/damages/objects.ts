/** Damage to objects: their rows, and their files. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import type { Ino, ObjectId } from '../../../src/base/ids.ts';
import { DATA_OBJECT } from '../../../src/codec/inode-record.ts';
import { decodeObject, encodeObject, type ObjectRow } from '../../../src/codec/store-rows.ts';
import { openDelta } from '../../../src/driver/delta/open-delta.ts';
import { importTemplate } from '../../../src/manager/templates/import.ts';
import { objectKey } from '../../../src/store/keys.ts';
import { openStore } from '../../../src/store/store.ts';
import type { Table } from '../../../src/store/table.ts';
import { type Damage, find, REPAIR } from '../../support/damage/damage.ts';
import { edit, JUNK } from '../../support/damage/edit-store.ts';
import { healthyRoot } from '../../support/damage/healthy-root.ts';

const idOf = (content: string): ObjectId =>
  createHash('sha256').update(content).digest('hex') as ObjectId;

/** The content of etc/kept, in all versions; and what no template has. */
const KEPT = idOf('kept\n');
const OTHER = idOf('other\n');

const fileOf = (root: string, id: ObjectId): string =>
  path.join(root, 'objects', id.slice(0, 2), id.slice(2));

const editRows = (change: (table: Table) => void) => (root: string) =>
  edit(root, (tables) => change(tables.table('objects')));

const editKept = (fields: Partial<ObjectRow>) =>
  editRows((table) => {
    const row = decodeObject(table.get(objectKey(KEPT))!);
    table.putSync(objectKey(KEPT), encodeObject({ ...row, ...fields }));
  });

/** Other bytes, as many as there were. */
function spoil(root: string): void {
  fs.chmodSync(fileOf(root, KEPT), 0o600);
  fs.writeFileSync(fileOf(root, KEPT), 'KEPT\n');
  fs.chmodSync(fileOf(root, KEPT), 0o400);
}

function addOther(root: string): void {
  fs.mkdirSync(path.dirname(fileOf(root, OTHER)), { recursive: true });
  fs.writeFileSync(fileOf(root, OTHER), 'other\n', { mode: 0o400 });
}

const WHO_NEEDS_IT = /needed by os@1-3 \/etc\/kept; seen by env web, pinned, idle/;
const IMPORT = /import the source of os@1 again \(byref template import os SOURCE\)/;

/** What is promised: the same source brings it back, and what was moved aside can go then. */
async function importAgain(root: string): Promise<void> {
  const store = await openStore(root, { write: true });
  await importTemplate(store, 'os', path.join(healthyRoot().base, 'v1'));
  await store.close();
  const left = await find(root, { full: true, repair: true });
  expect(left.filter(({ repaired, severity }) => !repaired || severity === 'error')).toEqual([]);
  expect(await find(root, { full: true })).toEqual([]);
  expect(fs.readFileSync(fileOf(root, KEPT), 'latin1')).toBe('kept\n');
}

/** An env has a file with the attributes of its own, and its bytes of a version that is no more. */
async function nameInEnv(root: string, object: ObjectId): Promise<void> {
  const delta = await openDelta(path.join(root, 'envs/1'), { openObject: () => -1 });
  const [file] = [...delta.list(1 as Ino, 0, 1000)].filter(({ name }) => name === 'srv');
  const srv = file!.ino as Ino;
  const fifo = delta.name(srv, 'fifo' as never)!.ino as Ino;
  const change = delta.begin();
  const record = delta.inode(fifo)!;
  change.setInode({ ...record, mode: 0o100600, data: DATA_OBJECT, object, size: 6 });
  change.setName(srv, 'fifo' as never, fifo, 0o100000);
  delta.commit();
  await delta.close();
}

export const objectDamages: readonly Damage[] = [
  {
    of: 'a row that does not decode',
    harm: editRows((table) => table.putSync(objectKey(KEPT), JUNK)),
    finds: 'objects.row',
    says: /object \w{64}: its row can't be read/,
    remedy: REPAIR,
  },
  {
    of: 'a file without a row',
    harm: editRows((table) => void table.removeSync(objectKey(KEPT))),
    finds: 'objects.row',
    says: /1 link records name it, and it has no row/,
    remedy: REPAIR,
  },
  {
    of: 'neither row nor file',
    async harm(root) {
      await editRows((table) => void table.removeSync(objectKey(KEPT)))(root);
      fs.rmSync(fileOf(root, KEPT));
    },
    finds: 'objects.row',
    also: ['objects.missing'],
    says: /1 link records name it, and it has no row/,
    remedy: REPAIR,
    leaves: ['objects.missing'],
    after: importAgain,
  },
  {
    of: 'no row, and a file with other bytes',
    async harm(root) {
      await editRows((table) => void table.removeSync(objectKey(KEPT)))(root);
      spoil(root);
    },
    finds: 'objects.row',
    says: /it has no row/,
    remedy: REPAIR,
    leaves: ['objects.missing'],
    after: importAgain,
  },
  {
    of: 'a row with another size than the file, whose bytes are right',
    harm: editKept({ size: 77 }),
    finds: 'objects.row',
    says: /its file has 5 bytes, not 77, and they are the right ones/,
    remedy: REPAIR,
    after: (root) => expect(fs.statSync(fileOf(root, KEPT)).size).toBe(5),
  },
  {
    of: 'a count of references that is too low',
    harm: editKept({ refs: 0 }),
    finds: 'objects.refs',
    says: /its row counts 0 link records that name it, and there are 1/,
    remedy: REPAIR,
  },
  {
    of: 'a count of references that is too high',
    harm: editKept({ refs: 7 }),
    finds: 'objects.refs',
    says: /its row counts 7/,
    remedy: REPAIR,
  },
  {
    of: 'a file that is missing',
    harm: (root) => fs.rmSync(fileOf(root, KEPT)),
    finds: 'objects.missing',
    says: WHO_NEEDS_IT,
    remedy: IMPORT,
    leaves: ['objects.missing'],
    after: importAgain,
  },
  {
    of: 'a file that is a directory',
    harm(root) {
      fs.rmSync(fileOf(root, KEPT));
      fs.mkdirSync(fileOf(root, KEPT));
    },
    finds: 'objects.type',
    says: WHO_NEEDS_IT,
    remedy: /--repair moves it to .*objects\/damaged; then import the source of os@1/,
    leaves: ['objects.missing'],
    after: importAgain,
  },
  {
    of: 'a file of another size',
    harm: (root) => fs.appendFileSync(fileOf(root, KEPT), 'x'),
    finds: 'objects.size',
    says: /its file has 6 bytes, not 5; needed by os@1-3/,
    remedy: IMPORT,
    leaves: ['objects.missing'],
    after: importAgain,
  },
  {
    of: 'a file with other bytes',
    harm: spoil,
    full: true,
    finds: 'objects.content',
    says: WHO_NEEDS_IT,
    remedy: IMPORT,
    leaves: ['objects.missing'],
    async after(root) {
      const aside = path.join(root, 'objects/damaged', KEPT);
      expect(fs.readFileSync(aside, 'latin1')).toBe('KEPT\n');
      await importAgain(root);
      expect(fs.existsSync(aside)).toBe(false);
    },
  },
  {
    of: 'a file that can be written',
    harm: (root) => fs.chmodSync(fileOf(root, KEPT), 0o644),
    finds: 'objects.mode',
    says: /its mode is 644 and its owner 0, not 400 and root/,
    remedy: REPAIR,
    after: (root) => expect(fs.statSync(fileOf(root, KEPT)).mode & 0o7777).toBe(0o400),
  },
  {
    of: 'a file of another owner',
    harm: (root) => fs.chownSync(fileOf(root, KEPT), 1000, 1000),
    finds: 'objects.mode',
    says: /its owner 1000/,
    remedy: REPAIR,
    after: (root) => expect(fs.statSync(fileOf(root, KEPT)).uid).toBe(0),
  },
  {
    of: 'a file that nothing names',
    harm: addOther,
    finds: 'objects.extra',
    severity: 'leftover',
    says: /an object that has no row, and that nothing names/,
    remedy: /removes it/,
    after: (root) => expect(fs.existsSync(fileOf(root, OTHER))).toBe(false),
  },
  {
    of: 'a file that nothing names, while an env can not be read that may',
    harm(root) {
      addOther(root);
      fs.rmSync(path.join(root, 'envs/1/link/data.mdb'));
      fs.writeFileSync(path.join(root, 'envs/1/link/data.mdb'), 'junk');
    },
    finds: 'objects.extra',
    also: ['delta.pages'],
    severity: 'leftover',
    says: /an object that has no row/,
    remedy: /once nothing is unreadable/,
    leaves: ['objects.extra', 'delta.pages'],
    after: (root) => expect(fs.existsSync(fileOf(root, OTHER))).toBe(true),
  },
  {
    of: 'a file that is no object',
    harm: (root) => fs.writeFileSync(`${fileOf(root, KEPT)}.orig`, ''),
    finds: 'objects.extra',
    severity: 'leftover',
    says: /it is no object/,
    remedy: /move it/,
    leaves: ['objects.extra'],
  },
  {
    of: 'a file that only an env names, without a row',
    async harm(root) {
      addOther(root);
      await nameInEnv(root, OTHER);
    },
    finds: 'objects.row',
    says: /an env's delta names it, and it has no row/,
    remedy: REPAIR,
    after: (root) =>
      edit(root, (tables) => {
        const row = decodeObject(tables.table('objects').get(objectKey(OTHER))!);
        expect(row).toMatchObject({ refs: 0, size: 6 });
      }),
  },
  {
    of: 'a row without a file that nothing names',
    harm: editRows((table) =>
      table.putSync(objectKey(OTHER), encodeObject({ size: 6, blocks: 8, refs: 0 })),
    ),
    finds: 'objects.missing',
    severity: 'leftover',
    says: /it has a row and no file, and nothing names it/,
    remedy: /removes it/,
  },
  {
    of: 'what an import that was cut short left',
    harm: (root) => fs.writeFileSync(path.join(root, 'objects/tmp/w0-1'), 'half'),
    finds: 'objects.unfinished',
    severity: 'leftover',
    says: /objects\/tmp: 1 files of an import/,
    remedy: /removes it/,
    after: (root) => expect(fs.readdirSync(path.join(root, 'objects/tmp'))).toEqual([]),
  },
  {
    of: 'a damaged object that was moved aside and is back',
    harm(root) {
      fs.mkdirSync(path.join(root, 'objects/damaged'));
      fs.writeFileSync(path.join(root, 'objects/damaged', KEPT), 'KEPT\n');
    },
    finds: 'objects.damaged',
    severity: 'leftover',
    says: /a damaged object that is back/,
    remedy: /removes it/,
  },
];
