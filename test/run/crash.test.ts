/** Commands that start and stop envs, killed at each of their failpoints: the next command goes on, and nothing is left. */
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { RunRoot } from './run-root.ts';

const FAILPOINTS_MAX = 40;
const TIMEOUT_MS = 300_000;

let r: RunRoot;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  await createWeb();
});

/** Makes an env that has something of each kind beside its root. */
const createWeb = (): Promise<string> =>
  r.root.ok(...['create', 'web', '--os', 'tiny', '--volume', '/srv/a', '--volume', '/srv/b:4MiB']);

afterEach(async () => {
  await r.endHolder();
  await r.dispose();
});

/** Kills a command at each of its failpoints, until it comes by no more. */
async function killedAtEach(
  command: readonly string[],
  before: () => Promise<unknown>,
  after: (n: number) => Promise<void>,
): Promise<number> {
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    await before();
    const { code } = await runKilledAt(r.root, `*:${n}`, command);
    await after(n);
    if (code === 0) return n - 1;
  }
  return expect.unreachable('it came by more failpoints than expected');
}

const stateOf = async (name: string): Promise<string | undefined> =>
  (await r.root.json<EnvSummary[]>('list')).find((env) => env.name === name)?.state;

test('start', { timeout: TIMEOUT_MS }, async () => {
  const stopped = (): Promise<string> => r.root.ok('stop', '--fast', 'web');
  const killed = await killedAtEach(['start', 'web'], stopped, async () => {
    await r.root.ok('start', 'web');
    expect(await r.exec('web', 'touch /srv/a/file /srv/b/file; echo alive')).toBe('alive\n');
  });
  expect(killed).toBeGreaterThan(2);
  await stopped();
  expect(r.leftovers()).toEqual([]);
});

test('stop, of what is killed at its end, too', { timeout: TIMEOUT_MS }, async () => {
  const started = (): Promise<string> => r.root.ok('start', 'web');
  const killed = await killedAtEach(['stop', '--fast', 'web'], started, async () => {
    await r.root.ok('stop', 'web');
    expect(r.leftovers()).toEqual([]);
  });
  expect(killed).toBeGreaterThan(4);
});

test('destroy --force of a running env', { timeout: TIMEOUT_MS }, async () => {
  const started = async (): Promise<void> => {
    if ((await stateOf('web')) === undefined) await createWeb();
    await r.root.ok('start', 'web');
  };
  await killedAtEach(['destroy', '--force', 'web'], started, async (n) => {
    if ((await stateOf('web')) !== undefined) await r.root.ok('destroy', '--force', 'web');
    expect(r.leftovers(), `${n}`).toEqual([]);
  });
  expect(await r.root.findings()).toEqual([]);
});
