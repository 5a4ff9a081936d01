/**
 * Random histories against a reference in memory. FC_RUNS=1000 (scripts/soak.sh) makes more of them, FC_SEED=N repeats
 * one run's. What fails is shrunk (shrink.ts); its steps belong in regressions.ts.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { patchTemplate, rollBack } from '../../src/services/patch-template.ts';
import { openStore } from '../../src/store/store.ts';
import { hashObjects } from '../suite/objects.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { TestRoot } from '../support/machine/root.ts';
import { Agent } from './agent-client.ts';
import { checkHistory, type Subject } from './history.ts';
import { type Operation, operation, operationOrFlip } from './operation.ts';
import { FLIP_REGRESSIONS, REGRESSIONS } from './regressions.ts';
import { shrink } from './shrink.ts';
import { APP_VERSIONS, makeTree, OS_VERSIONS, type Version } from './tree.ts';

const RUNS = propertyRuns(24);
const IS_LONG = process.env['BYREF_SOAK'] !== undefined;
const STEPS_MAX = 100;
/** Trees per data path in the template: each history uses one. */
const TREES = 60;
/** Long runs have the time that they need. */
const TEST_MS = Math.max(280_000, RUNS.numRuns * 3_000);
const POLL = { timeout: 10_000 };

async function checkHistories(subject: Subject): Promise<void> {
  const until = Date.now() + TEST_MS * 0.8;
  const step = subject.flip === null ? operation : operationOrFlip;
  let last: Error | null = null;
  const errorOf = async (steps: readonly Operation[]): Promise<Error | null> => {
    try {
      await checkHistory(subject, steps);
      return null;
    } catch (error) {
      subject.spoil();
      last = error as Error;
      return last;
    }
  };
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: STEPS_MAX, size: 'max' }),
    async (steps) => (await errorOf(steps)) === null,
  );
  const { failed, counterexample, seed, numRuns } = await fc.check(property, {
    ...RUNS,
    interruptAfterTimeLimit: TEST_MS * 0.8,
    endOnFailure: true,
  });
  if (!failed) return;
  const steps = await shrink(
    counterexample![0],
    async (some) => (await errorOf(some)) !== null,
    until,
  );
  const message = `run ${numRuns} of FC_SEED=${seed} fails with these steps:\n${JSON.stringify(steps)}`;
  // One that does not fail each time failed so when it did.
  throw new Error(message, { cause: (await errorOf(steps)) ?? last });
}

function declareModel(subject: () => Subject): void {
  test('random histories', { timeout: TEST_MS }, () => checkHistories(subject()));
  test.each(Object.entries(REGRESSIONS))('%s', (_, steps) => checkHistory(subject(), steps));
}

describe('a local file system (the reference is right)', () => {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'byref-model-'));
  const agent = new Agent();
  let count = 0;
  const subject: Subject = {
    agent,
    async fresh() {
      const dir = path.join(base, String(count++));
      makeTree(dir, OS_VERSIONS[0]!);
      return { dir, coherent: true };
    },
    async remount() {},
    async kill() {},
    flip: null,
    spoil() {},
  };
  declareModel(() => subject);
  afterAll(async () => {
    await agent.stop();
    fs.rmSync(base, { recursive: true });
  });
});

for (const options of [[], ['--no-passthrough']]) {
  describe(`an env ${options.join(' ')}`, () => {
    let root: TestRoot;
    let subject: Subject;
    let objects: ReadonlyMap<string, string>;

    beforeAll(async () => {
      root = await TestRoot.create();
      await importVersions(root, 'os', OS_VERSIONS);
      await importVersions(root, 'app', APP_VERSIONS);
      // What was current once can be gone back to.
      for (const to of [2, 3, 4, 1]) await goTo(root, 'os', to);
      for (const to of [2, 3, 1]) await goTo(root, 'app', to);
      objects = hashObjects(root.path);
      subject = await envSubject(root, options);
    });
    declareModel(() => subject);
    // Histories are made where data is coherent and where it is shared by turns; without passthrough that is the same.
    const times = options.length === 0 || IS_LONG ? ['first', 'second'] : ['only'];
    describe.each(Object.entries(FLIP_REGRESSIONS))('%s', (_, steps) => {
      test.each(times)('the %s place', () => checkHistory(subject, steps));
    });
    test('no object changed', () => {
      expect(hashObjects(root.path)).toEqual(objects);
    });
    test('fsck finds nothing, while it is mounted and after', async () => {
      const found = async (): Promise<unknown> => await root.findings();
      expect(await found()).toEqual([]);
      await subject.agent.do('/', { op: 'remount' });
      await root.umount();
      expect(await found()).toEqual([]);
    });
    afterAll(async () => {
      await subject.agent.stop();
      await root.dispose();
    });
  });
}

/** Makes a template of all versions, with the trees in two places: where data is coherent, and where it is shared. */
async function importVersions(
  root: TestRoot,
  template: 'os' | 'app',
  versions: readonly Version[],
): Promise<void> {
  for (const [i, version] of versions.entries()) {
    const source = root.directory(`${template}-${i}`);
    for (let tree = 0; tree < TREES; tree++) {
      for (const place of ['etc', 'usr']) makeTree(path.join(source, place, String(tree)), version);
    }
    const kind = template === 'app' ? ['--kind', 'app'] : [];
    await root.ok('template', 'import', template, source, ...kind);
    fs.rmSync(source, { recursive: true });
  }
}

/** Trees of one env after the other, in turn where data is coherent and where it is shared. */
async function envSubject(root: TestRoot, options: readonly string[]): Promise<Subject> {
  let [env, used] = ['', TREES * 2];
  let mountpoint = '';
  const agent = new Agent();
  const next = async (): Promise<void> => {
    if (env) {
      await agent.do('/', { op: 'remount' });
      await root.umount(env);
    }
    [env, used] = [`env-${Date.now()}`, 0];
    await root.create(env, 'os', 'app');
    mountpoint = await root.mount(env, ...options);
  };
  const mount = async (): Promise<void> => {
    mountpoint = await root.mount(env, ...options);
  };
  const die = async (): Promise<void> => {
    const { driverPid } = await root.info(env);
    process.kill(driverPid!, 'SIGKILL');
    await expect.poll(async () => (await root.info(env)).state, POLL).toBe('dead');
  };
  const remount = async (): Promise<void> => {
    await root.umount(env);
    await mount();
  };
  return {
    agent,
    remount,
    async fresh() {
      root.goesOn();
      if (used >= TREES * 2) await next();
      const coherent = used % 2 === 0;
      const dir = path.join(mountpoint, coherent ? 'etc' : 'usr', String(used >> 1));
      used++;
      for (const template of ['os', 'app']) await goTo(root, template, 1);
      return { dir, coherent };
    },
    async kill() {
      await die();
      await remount();
    },
    spoil() {
      used = TREES * 2;
    },
    async flip({ template, to, env: state }) {
      if (state === 'stopped') await root.umount(env);
      if (state === 'dead') await die();
      await goTo(root, template, to);
      if (state === 'stopped') await mount();
      if (state === 'dead') await remount();
    },
  };
}

/** As the commands `patch` and `rollback` do it, without a process for each. */
async function goTo(root: TestRoot, name: string, to: number): Promise<void> {
  process.env['BYREF_RUN'] = root.env['BYREF_RUN'];
  const store = await openStore(root.path, { write: true });
  try {
    const template = store.template(name)!;
    if (to < template.current) await rollBack(store, template.name, { to, note: '' });
    if (to > template.current) {
      const rollout = { waves: [], afterwards: 'all', waitMs: 0, health: null } as const;
      const options = { to, policies: [], note: '', rollout };
      await patchTemplate(store, template.name, options);
    }
    const [head] = store.patches.heads();
    const record = head && store.patches.whole(head);
    const failed = record?.envs.filter(({ error }) => error !== null);
    expect(failed ?? []).toEqual([]);
  } finally {
    await store.close();
  }
}
