import { describe, expect, test } from 'vitest';
import type { FileAction, PatchedEnv, PatchRecord } from '../../src/codec/patch-record.ts';
import {
  afterEvent,
  isComplete,
  type PatchEvent,
  type PlannedEnv,
} from '../../src/manager/rollout/transitions.ts';

const record = (over: Partial<PatchRecord> = {}): PatchRecord => ({
  id: 7,
  kind: 'patch',
  templateId: 1,
  template: 'os',
  from: 1,
  to: 2,
  state: 'rolling',
  all: false,
  startedMs: 1000,
  endedMs: null,
  by: { user: 'root', uid: 0, pid: 1, command: 'byref patch os' },
  policies: [],
  envs: [],
  note: '',
  ...over,
});

const env = (id: number, over: Partial<PatchedEnv> = {}): PatchedEnv => ({
  id,
  name: `e${id}`,
  outcome: 'stopped',
  own: 0,
  removed: 0,
  keptDirs: 0,
  packages: [],
  unmet: [],
  acts: [],
  error: null,
  ...over,
});

const act = (name: string, over: Partial<FileAction> = {}): FileAction => ({
  what: 'taken',
  path: `/${name}`,
  dir: 1,
  name,
  ino: 40,
  done: false,
  ...over,
});

const planned = (id: number): PlannedEnv => ({
  id,
  name: `e${id}`,
  packages: { packages: [], unmet: [] },
});

const committed = (over: Partial<Extract<PatchEvent, { what: 'committed' }>> = {}): PatchEvent => ({
  what: 'committed',
  state: 'rolling',
  all: false,
  going: [],
  late: [],
  acts: new Map(),
  ...over,
});

const none = new Map<number, readonly FileAction[]>();
const kept = { name: 'libx', why: 'held', own: '1', template: '2' } as const;
const waiting = { packages: [], done: false };

interface Row {
  readonly before?: Partial<PatchRecord>;
  readonly event: PatchEvent;
  readonly after: Partial<PatchRecord>;
}

const ROWS: Record<string, Row> = {
  'a wave enters as stopped, until drivers have told': {
    event: committed({ going: [planned(1), planned(2)] }),
    after: { state: 'rolling', all: false, envs: [env(1), env(2)] },
  },
  'an env in which dpkg is at work enters as busy': {
    event: committed({ going: [planned(1)], late: [planned(2)] }),
    after: { envs: [env(1), env(2, { outcome: 'busy' })] },
  },
  'the last wave moves the current version': {
    event: committed({ state: 'acting', all: true, going: [planned(1)] }),
    after: { state: 'acting', all: true, envs: [env(1)] },
  },
  'an env that goes later does not take the current version back': {
    before: { state: 'acting', all: true, envs: [env(1, { outcome: 'busy' })] },
    event: committed({ state: 'acting', going: [planned(1)] }),
    after: { state: 'acting', all: true, envs: [env(1)] },
  },
  'actions are in the record when the move is committed': {
    event: committed({ going: [planned(1)], acts: new Map([[1, [act('a')]]]) }),
    after: { envs: [env(1, { acts: [act('a')] })] },
  },
  'a canary that went is not stopped again by the last wave': {
    before: { envs: [env(1, { outcome: 'flipped', own: 3 })] },
    event: committed({ state: 'acting', all: true, going: [planned(1)] }),
    after: { state: 'acting', all: true, envs: [env(1, { outcome: 'flipped', own: 3 })] },
  },
  'a canary whose driver died since is dead': {
    before: { envs: [env(1, { outcome: 'flipped', own: 3 })] },
    event: { what: 'reported', envs: [env(1, { outcome: 'dead' })], acts: none },
    after: { envs: [env(1, { outcome: 'dead' })] },
  },
  'a driver’s report replaces what was planned, but for the packages': {
    before: { envs: [env(1, { packages: [kept], unmet: ['libx'], completion: waiting })] },
    event: {
      what: 'reported',
      envs: [
        {
          id: 1,
          name: 'e1',
          outcome: 'flipped',
          own: 2,
          removed: 1,
          keptDirs: 0,
          acts: [],
          error: null,
        },
      ],
      acts: none,
    },
    after: {
      envs: [
        env(1, {
          outcome: 'flipped',
          own: 2,
          removed: 1,
          packages: [kept],
          unmet: ['libx'],
          completion: waiting,
        }),
      ],
    },
  },
  'an action’s outcome replaces it; others of the env stay': {
    before: { envs: [env(1, { acts: [act('a', { done: true }), act('b')] })] },
    event: {
      what: 'reported',
      envs: [env(1)],
      acts: new Map([[1, [act('b', { what: 'conflict', done: true })]]]),
    },
    after: {
      envs: [
        env(1, {
          acts: [act('a', { done: true }), act('b', { what: 'conflict', done: true })],
        }),
      ],
    },
  },
  'what an earlier process left is made': {
    before: { envs: [env(1, { acts: [act('a')] }), env(2, { acts: [act('b')] })] },
    event: { what: 'acted', acts: new Map([[1, [act('a', { done: true })]]]) },
    after: { envs: [env(1, { acts: [act('a', { done: true })] }), env(2, { acts: [act('b')] })] },
  },
  'apt’s result is one env’s': {
    before: { envs: [env(1, { completion: waiting }), env(2, { completion: waiting })] },
    event: {
      what: 'completed',
      env: env(2, { completion: { packages: ['libx-dev 1 -> 2'], done: true } }),
    },
    after: {
      envs: [
        env(1, { completion: waiting }),
        env(2, { completion: { packages: ['libx-dev 1 -> 2'], done: true } }),
      ],
    },
  },
  'a remark comes before the envs go back': {
    before: { note: 'fixes CVE-1' },
    event: { what: 'noted', note: 'unhealthy in e1' },
    after: { note: 'unhealthy in e1', state: 'rolling' },
  },
  'the end has a time, and keeps the note': {
    before: { note: 'fixes CVE-1', state: 'acting' },
    event: { what: 'ended', state: 'done', note: '', atMs: 5000 },
    after: { state: 'done', note: 'fixes CVE-1', endedMs: 5000 },
  },
  'an undone patch says why': {
    before: { note: 'fixes CVE-1' },
    event: { what: 'ended', state: 'undone', note: 'unhealthy in e1', atMs: 5000 },
    after: { state: 'undone', note: 'unhealthy in e1', endedMs: 5000 },
  },
  'canaries wait: that is no end': {
    event: { what: 'ended', state: 'canary', note: '', atMs: 5000 },
    after: { state: 'canary', endedMs: null },
  },
};

describe('an event changes the record of a patch', () => {
  test.each(Object.entries(ROWS))('%s', (_, { before, event, after }) => {
    const was = record(before);
    const copy = structuredClone(was);
    expect(afterEvent(was, event)).toEqual({ ...was, ...after });
    expect(was, 'the record itself stays').toEqual(copy);
  });
});

describe('a patch is complete', () => {
  test.each<readonly [string, readonly PatchedEnv[], boolean]>([
    ['without envs', [], true],
    ['when all went', [env(1), env(2, { outcome: 'dead' })], true],
    ['not while dpkg is at work in an env', [env(1), env(2, { outcome: 'busy' })], false],
    ['not while an action is to be made', [env(1, { acts: [act('a')] })], false],
    ['not while apt is to be run', [env(1, { completion: waiting })], false],
    [
      'when apt could not do it',
      [env(1, { completion: { packages: [], why: 'it is not mounted', done: true } })],
      true,
    ],
  ])('%s: %#', (_, envs, complete) => {
    expect(isComplete(record({ envs }))).toBe(complete);
  });
});
