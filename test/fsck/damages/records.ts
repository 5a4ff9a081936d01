/** Damage to the records of patches, and to counters. */
import * as fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { PRIVATE_INO_BASE } from '../../../src/base/ids.ts';
import { decodePatchHead, encodePatchHead } from '../../../src/codec/patch-record.ts';
import { decodeNumber, encodeNumber } from '../../../src/codec/store-rows.ts';
import { idKey, textKey } from '../../../src/store/keys.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import { edit, JUNK, put } from '../../support/damage/edit-store.ts';

export const patchDamages: readonly Damage[] = [
  {
    of: 'a record that does not decode',
    harm: put('patches', idKey(2), JUNK),
    finds: 'patches.row',
    says: /patch 2: its record can't be read \(patch record of version 153/,
    remedy: BACKUP,
    leaves: ['patches.row'],
  },
  {
    of: 'a record that is no JSON',
    harm: put('patches', idKey(2), Buffer.from('\x01{"id":')),
    finds: 'patches.row',
    says: /patch 2: its record can't be read/,
    remedy: BACKUP,
    leaves: ['patches.row'],
  },
  {
    of: 'a record of another patch',
    harm: (root) =>
      edit(root, (t) => t.table('patches').putSync(idKey(2), t.table('patches').get(idKey(1))!)),
    finds: 'patches.row',
    says: /patch 2: .*it is of patch 1/,
    remedy: BACKUP,
    leaves: ['patches.row'],
  },
  {
    of: 'envs of a patch that do not decode',
    harm: put('patchEnvs', idKey(2), JUNK),
    finds: 'patches.row',
    says: /patch 2: its record can't be read/,
    remedy: BACKUP,
    leaves: ['patches.row'],
  },
  {
    of: 'a record without its envs',
    harm: (root) => edit(root, (t) => void t.table('patchEnvs').removeSync(idKey(2))),
    finds: 'patches.row',
    says: /patch 2: its envs are lost/,
    remedy: BACKUP,
    leaves: ['patches.row'],
  },
  {
    of: 'envs without a record',
    harm: (root) => edit(root, (t) => void t.table('patches').removeSync(idKey(2))),
    finds: 'patches.row',
    says: /patch 2: its envs are there, and it has no record/,
    remedy: BACKUP,
    leaves: ['patches.row'],
  },
  {
    of: 'a wrong count of what is not finished',
    harm: (root) =>
      edit(root, (tables) => {
        const head = decodePatchHead(tables.table('patches').get(idKey(2))!);
        tables.table('patches').putSync(idKey(2), encodePatchHead({ ...head, state: 'acting' }));
      }),
    finds: 'patches.unfinished',
    says: /meta counts 0, and 1 patches are not finished/,
    remedy: REPAIR,
  },
  {
    of: 'a count of what is not finished that does not decode',
    harm: put('meta', textKey('unfinishedPatches'), JUNK),
    finds: 'patches.unfinished',
    says: /what meta counts can't be read, and 0 patches are not finished/,
    remedy: REPAIR,
  },
];

const counter = (name: string, value: number) => put('meta', textKey(name), encodeNumber(value));

const tooLow = (name: string, says: RegExp): Damage => ({
  of: `${name} gives out what is in use`,
  harm: counter(name, 1),
  finds: 'counters.next',
  says,
  remedy: REPAIR,
});

export const counterDamages: readonly Damage[] = [
  tooLow('nextIno', /counter nextIno: it gives out 1 next, and \d+ is in use/),
  tooLow('nextTemplate', /counter nextTemplate: it gives out 1 next, and 5 is in use/),
  tooLow('nextEnv', /counter nextEnv: it gives out 1 next, and 6 is in use/),
  tooLow('nextPatch', /counter nextPatch: it gives out 1 next, and \d is in use/),
  {
    of: 'nextEnv gives out what has a directory',
    async harm(root) {
      await counter('nextEnv', 7)(root);
      fs.mkdirSync(path.join(root, 'envs/7'));
    },
    finds: 'counters.next',
    also: ['envs.extra'],
    says: /it gives out 7 next, and 7 is in use/,
    remedy: REPAIR,
    after: (root) =>
      edit(root, (t) => {
        expect(decodeNumber(t.table('meta').get(textKey('nextEnv'))!)).toBe(8);
      }),
  },
  {
    of: "nextIno gives out envs' own",
    harm: counter('nextIno', PRIVATE_INO_BASE + 1),
    finds: 'counters.next',
    says: /from 2251799813685248 on numbers are envs' own/,
    remedy: BACKUP,
    leaves: ['counters.next'],
  },
  {
    of: 'a counter that does not decode',
    harm: put('meta', textKey('nextIno'), JUNK),
    finds: 'counters.row',
    says: /counter nextIno: its row can't be read/,
    remedy: REPAIR,
  },
  {
    of: 'a number of shards that does not decode',
    harm: put('meta', textKey('shards'), JUNK),
    finds: 'counters.row',
    says: /the number of shards: its row can't be read/,
    remedy: REPAIR,
  },
];
