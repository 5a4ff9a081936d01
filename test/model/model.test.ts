/**
 * Random histories against a reference in memory. FC_RUNS=1000 makes more of them, FC_SEED=N repeats
 * one run's. What fails is shrunk by fast-check; its steps belong in regressions.ts.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashObjects } from '../suite/objects.ts';
import { TestRoot } from '../support/root.ts';
import { Agent } from './agent-client.ts';
import { checkHistory, type Subject } from './history.ts';
import { operation } from './operation.ts';
import { REGRESSIONS } from './regressions.ts';
import { makeStartTree } from './tree.ts';

const RUNS = Number(process.env['FC_RUNS'] ?? 60);
const STEPS_MAX = 100;
/** Trees per data path in the template: histories, and the shrinking of one that fails, use one each. */
const TREES = 200;
const TEST_MS = 280_000;
const POLL = { timeout: 10_000 };

async function checkHistories(subject: Subject): Promise<void> {
  const { FC_SEED } = process.env;
  const property = fc.asyncProperty(
    fc.array(operation, { minLength: 5, maxLength: STEPS_MAX, size: 'max' }),
    (steps) => checkHistory(subject, steps),
  );
  await fc.assert(property, {
    numRuns: RUNS,
    interruptAfterTimeLimit: TEST_MS * 0.8,
    ...(FC_SEED ? { seed: Number(FC_SEED) } : {}),
  });
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
      makeStartTree(dir);
      return { dir, coherent: true };
    },
    async remount() {},
    async kill() {},
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
      const source = root.directory('source');
      for (let i = 0; i < TREES; i++) {
        for (const place of ['etc', 'usr']) makeStartTree(path.join(source, place, String(i)));
      }
      await root.ok('template', 'import', 'start', source);
      objects = hashObjects(root.path);
      subject = await envSubject(root, options);
    });
    declareModel(() => subject);
    test('no object changed', () => {
      expect(hashObjects(root.path)).toEqual(objects);
    });
    test('fsck finds nothing, while it is mounted and after', async () => {
      const found = async (): Promise<unknown> =>
        (await root.json<{ findings: unknown[] }>('fsck', '--full')).findings;
      expect(await found()).toEqual([]);
      await subject.agent.do('/', { op: 'remount' });
      await root.ok('umount', '--all');
      expect(await found()).toEqual([]);
    });
    afterAll(async () => {
      await subject.agent.stop();
      await root.dispose();
    });
  });
}

/** Trees of one env after the other, in turn where data is coherent and where it is shared. */
async function envSubject(root: TestRoot, options: readonly string[]): Promise<Subject> {
  let [env, used] = ['', TREES * 2];
  let mountpoint = '';
  const agent = new Agent();
  const next = async (): Promise<void> => {
    if (env) {
      await agent.do('/', { op: 'remount' });
      await root.ok('umount', env);
    }
    [env, used] = [`env-${Date.now()}`, 0];
    await root.ok('create', env, '--os', 'start');
    mountpoint = await root.mount(env, ...options);
  };
  const remount = async (): Promise<void> => {
    await root.ok('umount', env);
    mountpoint = await root.mount(env, ...options);
  };
  return {
    agent,
    remount,
    async fresh() {
      if (used >= TREES * 2) await next();
      const coherent = used % 2 === 0;
      const dir = path.join(mountpoint, coherent ? 'etc' : 'usr', String(used >> 1));
      used++;
      return { dir, coherent };
    },
    async kill() {
      const { driverPid } = await root.info(env);
      process.kill(driverPid!, 'SIGKILL');
      await expect.poll(async () => (await root.info(env)).state, POLL).toBe('dead');
      await remount();
    },
  };
}
