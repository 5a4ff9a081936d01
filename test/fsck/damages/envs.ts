/** Damage to the rows of envs, and what is left of envs that are no more. */
import * as fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import {
  decodeEnv,
  type EnvRow,
  encodeEnv,
  type StackEntry,
} from '../../../src/codec/store-rows.ts';
import { idKey, textKey } from '../../../src/store/keys.ts';
import { BACKUP, type Damage, REPAIR } from '../../support/damage/damage.ts';
import { edit, JUNK, put } from '../../support/damage/edit-store.ts';

/** The env `idle`, which was never mounted: what it lacks is nobody else's finding. */
const IDLE = 3;

const editEnv =
  (change: (row: EnvRow) => Partial<EnvRow>, id = IDLE) =>
  (root: string) =>
    edit(root, (tables) => {
      const row = decodeEnv(tables.table('envs').get(idKey(id))!);
      tables.table('envs').putSync(idKey(id), encodeEnv({ ...row, ...change(row) }));
    });

const editStack = (change: (entry: StackEntry) => Partial<StackEntry>) =>
  editEnv(({ stack }) => ({ stack: stack.map((entry) => ({ ...entry, ...change(entry) })) }));

export const envDamages: readonly Damage[] = [
  {
    of: 'a row that does not decode',
    harm: put('envs', idKey(IDLE), JUNK),
    finds: 'envs.row',
    says: /env number 3: its row can't be read/,
    remedy: BACKUP,
    leaves: ['envs.row'],
  },
  {
    of: 'a row of another env',
    harm: editEnv(() => ({ id: 1 })),
    finds: 'envs.row',
    says: /env number 3: .* it is of env 1|says that it is of env 1/,
    remedy: BACKUP,
    leaves: ['envs.row'],
  },
  {
    of: 'a name that is not indexed',
    harm: (root) => edit(root, (t) => void t.table('envNames').removeSync(textKey('web'))),
    finds: 'envs.names',
    says: /env web: envNames lacks it/,
    remedy: REPAIR,
  },
  {
    of: 'a name that leads to another env',
    harm: put('envNames', textKey('web'), idKey(2)),
    finds: 'envs.names',
    says: /env web: envNames says that it is number 2/,
    remedy: REPAIR,
  },
  {
    of: 'a name of no env',
    harm: put('envNames', textKey('nobody'), idKey(4)),
    finds: 'envs.names',
    says: /env nobody: envNames has the name for number 4/,
    remedy: REPAIR,
  },
  {
    of: 'a row that is gone, of an env that has files',
    harm: (root) => edit(root, (tables) => void tables.table('envs').removeSync(idKey(1))),
    finds: 'envs.names',
    says: /env web: envNames has the name for number 1, which has no such row/,
    remedy: BACKUP,
    leaves: ['envs.names'],
    after: (root) => expect(fs.existsSync(path.join(root, 'envs/1/link/data.mdb'))).toBe(true),
  },
  {
    of: 'two rows of one name',
    harm: editEnv(() => ({ name: 'web' })),
    finds: 'envs.names',
    says: /env web: numbers 1 and 3 have this one name/,
    remedy: BACKUP,
    leaves: ['envs.names'],
  },
  {
    of: 'a template that does not exist',
    harm: editStack(() => ({ templateId: 3, template: 'old', canary: null })),
    finds: 'envs.stack',
    says: /env idle: its template old \(number 3\) does not exist/,
    remedy: /byref destroy idle/,
    leaves: ['envs.stack'],
  },
  {
    of: 'a pinned version that does not exist',
    harm: editStack(() => ({ pinned: 9 })),
    finds: 'envs.stack',
    says: /env idle: it is pinned to os@9, which does not exist/,
    remedy: /byref follow idle os/,
    leaves: ['envs.stack'],
  },
  {
    of: 'an app where the system should be',
    harm: editStack(() => ({ templateId: 2, template: 'app', canary: null })),
    finds: 'envs.stack',
    says: /app is of kind app, and stands where an os does/,
    remedy: /byref destroy idle/,
    leaves: ['envs.stack'],
  },
  {
    of: 'one template twice',
    harm: editEnv(({ stack }) => ({ stack: [...stack, ...stack] })),
    finds: 'envs.stack',
    says: /it has one template twice/,
    remedy: /byref destroy idle/,
    leaves: ['envs.stack'],
  },
  {
    of: 'no template',
    harm: editEnv(() => ({ stack: [] })),
    finds: 'envs.stack',
    says: /it has no template/,
    remedy: /byref destroy idle/,
    leaves: ['envs.stack'],
  },
  {
    of: 'a canary of a version that does not exist',
    harm: editStack(() => ({ canary: { version: 9, patch: 1 } })),
    finds: 'envs.canary',
    says: /as a canary it sees os@9, which does not exist/,
    remedy: /byref follow idle os/,
    leaves: ['envs.canary'],
  },
  {
    of: 'a canary of a patch that does not exist',
    harm: (root) =>
      edit(root, (tables) => {
        tables.table('patches').removeSync(idKey(1));
        tables.table('patchEnvs').removeSync(idKey(1));
      }),
    finds: 'envs.canary',
    says: /as a canary of patch 1 it sees os@3, and there is no such patch/,
    remedy: /byref follow idle os/,
    leaves: ['envs.canary'],
  },
  {
    of: 'a shard that there is not',
    harm: editEnv(() => ({ shard: 9 })),
    finds: 'envs.shard',
    says: /env idle: its shard is 9, and there are 1/,
    remedy: REPAIR,
  },
  {
    of: 'the directory of an env that is no more',
    harm: (root) => void fs.mkdirSync(path.join(root, 'envs/4/private'), { recursive: true }),
    finds: 'envs.extra',
    severity: 'leftover',
    says: /envs\/4: the directory of an env that was destroyed/,
    remedy: /removes it/,
    after: (root) => expect(fs.existsSync(path.join(root, 'envs/4'))).toBe(false),
  },
  {
    of: 'a mount point of no env',
    harm: (root) => fs.mkdirSync(path.join(root, 'mnt/nobody')),
    finds: 'mounts.extra',
    severity: 'leftover',
    says: /mnt\/nobody: a mount point of an env that does not exist/,
    remedy: /removes it/,
  },
  {
    of: 'a mount point of no env, with something in it',
    harm: (root) => void fs.mkdirSync(path.join(root, 'mnt/nobody/thesis'), { recursive: true }),
    finds: 'mounts.extra',
    severity: 'leftover',
    says: /mnt\/nobody/,
    remedy: /removes it/,
    leaves: ['mounts.extra'],
    after: (root) => expect(fs.existsSync(path.join(root, 'mnt/nobody/thesis'))).toBe(true),
  },
];
