/**
 * Random histories of an env, with patches and rollbacks, then a backup: what is restored of it, on the same machine and on another
 * one, shows the same to the last byte, time, attribute and hard link; and so does an env that is taken back to a snapshot. FC_RUNS=100 makes more of them.
 */
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SnapshotDifference } from '../../src/services/diff-snapshots.ts';
import { Agent } from '../model/agent-client.ts';
import { operationOrFlip } from '../model/operation.ts';
import type { NameSnapshot } from '../model/snapshot.ts';
import { APP_VERSIONS, makeTree, OS_VERSIONS, type Version } from '../model/tree.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { TestRoot } from '../support/machine/root.ts';

const RUNS = propertyRuns(4);
const TEST_MS = Math.max(280_000, RUNS.numRuns * 20_000);
/** Where data is coherent, and where it is shared. */
const PLACES = ['etc/tree', 'usr/tree'];

let [here, there] = [] as unknown as [TestRoot, TestRoot];
const agent = new Agent();

beforeAll(async () => {
  [here, there] = [await TestRoot.create(), await TestRoot.create()];
  await importAll(here, 'os', OS_VERSIONS);
  await importAll(here, 'app', APP_VERSIONS);
  // What was current once can be gone back to.
  for (const to of [2, 3, 4, 1]) await goTo('os', to);
  for (const to of [2, 3, 1]) await goTo('app', to);
});
afterAll(async () => {
  await agent.stop();
  await here.dispose();
  await there.dispose();
});

async function importAll(
  root: TestRoot,
  name: string,
  versions: readonly Version[],
): Promise<void> {
  for (const [i, version] of versions.entries()) {
    const source = root.directory(`${name}-${i}`);
    for (const place of PLACES) makeTree(path.join(source, place), version);
    await root.import(name, source, name === 'os' ? 'os' : 'app');
  }
}

async function goTo(name: string, to: number): Promise<void> {
  const shown = await here.json<{ current: number }>('template', 'show', name);
  if (to > shown.current) await here.ok('patch', name, '--to', String(to));
  if (to < shown.current) await here.ok('rollback', name, '--to', String(to));
}

/** Of all places; without the numbers, where another machine gives others. */
async function look(root: TestRoot, env: string, numbers: boolean): Promise<unknown[]> {
  const mountpoint = await root.mount(env);
  const all: unknown[] = [];
  for (const place of PLACES)
    for (const { ino, ...rest } of await agent.snapshot(path.join(mountpoint, place)))
      all.push(numbers ? { ...rest, ino } : (rest satisfies Omit<NameSnapshot, 'ino'>));
  return all;
}

let count = 0;

test('what is restored is what was backed up', { timeout: TEST_MS }, async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...PLACES), operationOrFlip), {
    ...{ minLength: 20, maxLength: 80, size: 'max' },
  });
  const property = fc.asyncProperty(steps, async (history) => {
    here.goesOn();
    const env = `env${count++}`;
    await here.create(env, 'os', 'app');
    const mountpoint = await here.mount(env);
    const run = async (some: typeof history): Promise<void> => {
      for (const [place, step] of some) {
        if (step.op === 'flip') await goTo(step.template, step.to);
        else if (step.op !== 'remount' && step.op !== 'kill')
          await agent.do(path.join(mountpoint, place), step);
      }
    };
    const file = path.join(here.base, `${env}.backup`);
    const whole = path.join(here.base, `${env}.whole`);
    const half = history.length >> 1;
    await run(history.slice(0, half));
    await here.ok('backup', env, whole);
    const earlier = await look(here, env, true);
    await here.ok('snapshot', env, 'half');
    await run(history.slice(half));
    for (let slot = 0; slot < 3; slot++) await agent.do(mountpoint, { op: 'close', slot });
    await here.ok('backup', env, file, '--with-templates', '--incremental-from', whole);
    const before = await look(here, env, true);
    await here.ok('restore', file, `${env}-again`, '--base', whole);
    expect(await look(here, `${env}-again`, true)).toEqual(before);
    await there.ok('restore', file, '--base', whole);
    const plain = before.map((each) => ({ ...(each as NameSnapshot), ino: undefined }));
    expect(await look(there, env, false)).toEqual(plain);
    await here.ok('snapshot', env, 'end');
    for (const [name, then] of [['half', earlier] as const, ['end', before] as const]) {
      await here.ok('snapshot', 'restore', env, name, '--stop');
      expect(await look(here, env, true)).toEqual(then);
      expect((await here.json<SnapshotDifference>('snapshot', 'diff', env, name)).changes).toEqual(
        [],
      );
    }
    for (const root of [here, there]) expect(await root.findings()).toEqual([]);
    await here.ok('destroy', '--force', env, `${env}-again`);
    await there.ok('destroy', '--force', env);
    for (const each of [file, whole]) fs.rmSync(each);
  });
  await fc.assert(property, { ...RUNS, endOnFailure: true });
});
