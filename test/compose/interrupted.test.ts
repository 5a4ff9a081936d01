import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { patchOfFile } from '../../src/codec/patch-record.ts';
import { envMounts } from '../../src/ipc/mount-table.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { BYREF } from '../support/machine/program.ts';
import { type PatchedApps, PatchStock } from '../support/packages/patch-stock.ts';
import type { TinyEnv } from '../support/packages/tiny-apps.ts';

/** Commands that compose stacks, and are killed, interrupted, or run beside each other. */
let stock: PatchStock;
let t: PatchedApps;

beforeAll(async () => {
  stock = await PatchStock.create();
});
beforeEach(async () => {
  t = await stock.copy();
});
afterEach(() => t.dispose());
afterAll(() => stock.dispose());

/** More failpoints than a patch comes by. */
const FAILPOINTS_MAX = 80;
/** From one moment at which a command is ended to the next. */
const STEP_MS = process.env['BYREF_SOAK'] === undefined ? 150 : 60;
const TIMEOUT_MS = 300_000;

const OLD = 'tiny-base\t1.0|tiny|';
const NEW = 'tiny-base\t1.1|tiny 2|based';

/** At which version an env is as a whole. */
const stateOf = async (env: TinyEnv): Promise<string> => {
  const said = await env.run(
    'dpkg-query -W tiny-base; cat /etc/debian_version; getent passwd based | cut -d: -f1',
  );
  return said.trim().split('\n').join('|').replace(/tiny$/, 'tiny|');
};

async function makeEnvs(): Promise<TinyEnv[]> {
  const envs = [await t.apps.env('a', 'userful'), await t.apps.env('b', 'userful', 'greeter')];
  await envs[1]!.run('useradd alice');
  await t.apps.create('c', 'userful2', 'greeter');
  await t.stageNewer();
  return envs;
}

/** Runs a command that dies at its n-th failpoint, or after a time; its exit code, -1 if it died. */
const dieAt = async (n: number, ...command: string[]): Promise<number> =>
  (await runKilledAt(t.root, `*:${n}`, command)).code;

test(
  'a patch that is killed at any point is finished or taken back by the next command',
  async () => {
    const envs = await makeEnvs();
    const seen = new Set<string>();
    for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
      const code = await dieAt(n, 'patch', 'tiny', '--to', '2');
      // Any command.
      await t.root.ok('list');
      const c = await t.mounted('c');
      const states = await Promise.all([...envs, c].map(stateOf));
      expect(new Set(states).size, `${n}: ${states.join('; ')}`).toBe(1);
      expect([OLD, NEW], `${n}`).toContain(states[0]);
      for (const env of [...envs, c]) expect(await env.complaints()).toBe('');
      await t.root.umount('c');
      expect(await envs[1]!.run('id -un alice')).toBe('alice\n');
      if (code === 0) {
        expect([...seen].sort()).toEqual([OLD, NEW]);
        expect(await t.compositions()).toHaveLength(5);
        expect(await t.root.findings()).toEqual([]);
        return;
      }
      seen.add(states[0]!);
      // What is to be composed is not there from the last time.
      if (states[0] === NEW) await t.root.ok('rollback', 'tiny');
    }
    expect.unreachable('it came by more failpoints than expected');
  },
  TIMEOUT_MS,
);

test('what a patch prepared that is killed before it moves anything is removed by the next command', async () => {
  const envs = await makeEnvs();
  expect((await runKilledAt(t.root, 'patch-planned', ['patch', 'tiny', '--to', '2'])).code).toBe(
    -1,
  );
  expect(preparedFiles()).not.toEqual([]);
  await t.root.ok('list');
  expect(preparedFiles()).toEqual([]);
  expect(await Promise.all(envs.map(stateOf))).toEqual([OLD, OLD]);
  expect(await t.root.findings()).toEqual([]);
});

const preparedFiles = (): string[] => {
  const files = readdirSync(path.join(t.root.path, 'envs'), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => patchOfFile(path.basename(file)) !== null);
};

test('gc takes what a killed composing left, too', async () => {
  await makeEnvs();
  const child = spawn(BYREF, ['patch', 'tiny'], {
    env: t.root.env,
    stdio: 'ignore',
    detached: true,
  });
  const closed = once(child, 'close');
  await expect.poll(scratchMounts, { interval: 20, timeout: 10_000 }).toHaveLength(1);
  process.kill(-child.pid!, 'SIGKILL');
  await closed;
  await t.root.ok('gc', '--dry-run');
  expect(scratchMounts()).toHaveLength(1);
  await t.root.ok('gc');
  expect(scratchMounts()).toEqual([]);
  await t.apps.expectNothingLeft();
});

/** Runs a command, and sends it a signal after a time; false if it had ended by itself. */
async function signalAfter(
  ms: number,
  signal: NodeJS.Signals,
  ...words: string[]
): Promise<boolean> {
  const child = spawn(BYREF, words, { env: t.root.env, stdio: 'ignore', detached: true });
  const closed = once(child, 'close');
  await Promise.race([sleep(ms), closed]);
  if (child.exitCode !== null) return false;
  process.kill(-child.pid!, signal);
  await closed;
  return true;
}

const scratchMounts = (): string[] =>
  [...envMounts(t.root.path).values()]
    .map(({ mountpoint }) => mountpoint)
    .filter((at) => at.includes('scratch.'));

test(
  'a patch that is killed while it composes: the next one sweeps what it left',
  async () => {
    const envs = await makeEnvs();
    let killed = 0;
    for (let ms = STEP_MS; ; ms += STEP_MS) {
      if (!(await signalAfter(ms, 'SIGKILL', 'patch', 'tiny'))) break;
      killed++;
      expect(new Set(await Promise.all(envs.map(stateOf))).size).toBe(1);
    }
    expect(killed).toBeGreaterThan(2);
    // It had ended by itself.
    expect(await Promise.all(envs.map(stateOf))).toEqual([NEW, NEW]);
    await t.apps.expectNothingLeft();
    expect(await t.root.findings()).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'Ctrl-C during create: nothing is left, and the same command works afterwards',
  async () => {
    let interrupted = 0;
    const words = ['create', 'e', '--os', 'tiny', '--app', 'userful', '--app', 'greeter'];
    for (let ms = STEP_MS; ; ms += STEP_MS) {
      if (!(await signalAfter(ms, 'SIGINT', ...words))) break;
      const list = await t.root.json<{ name: string }[]>('list');
      // It had just been made.
      if (list.length > 0) break;
      interrupted++;
      expect(scratchMounts()).toEqual([]);
      await t.apps.expectNothingLeft();
    }
    expect(interrupted).toBeGreaterThan(1);
    const env = await t.mounted('e');
    expect(await env.run('greet')).toBe('hello, world (1.0)\n');
    expect(await t.compositions()).toHaveLength(1);
    expect(await t.root.findings()).toEqual([]);
  },
  TIMEOUT_MS,
);

test('Ctrl-C during the composing of a patch, an app add and a pin', async () => {
  const envs = await makeEnvs();
  const before = await t.compositions();
  const commands = [
    ['patch', 'tiny'],
    ['app', 'add', 'a', 'greeter', 'userful2'],
    ['pin', 'b', 'tiny@2'],
  ];
  for (const command of commands) {
    const child = spawn(BYREF, command, { env: t.root.env, stdio: 'ignore', detached: true });
    const closed = once(child, 'close');
    await expect.poll(scratchMounts, { interval: 20, timeout: 10_000 }).toHaveLength(1);
    process.kill(-child.pid!, 'SIGINT');
    await closed;
    await t.apps.expectNothingLeft();
    expect(scratchMounts()).toEqual([]);
    expect(await t.compositions()).toEqual(before);
    expect(await Promise.all(envs.map(stateOf))).toEqual([OLD, OLD]);
    expect(await t.root.json('history')).toEqual([]);
  }
});

test('two commands that make envs of the same new stack at the same time: one composition', async () => {
  const create = (name: string) => t.apps.create(name, 'userful', 'userful2', 'greeter');
  const [a, b] = await Promise.all([create('a'), create('b')]);
  expect([a.code, b.code], a.stderr + b.stderr).toEqual([0, 0]);
  expect(await t.compositions()).toHaveLength(1);
  for (const name of ['a', 'b']) {
    const env = await t.mounted(name);
    expect(await env.packages()).toEqual([
      'greeter 1.0',
      'greeter-data 1.0',
      'userful 1.0',
      'userful2 1.0',
    ]);
    expect(await env.complaints()).toBe('');
  }
});

test('many at the same time, of several stacks, with a patch of the OS between them', async () => {
  await makeEnvs();
  const stacks = [['userful'], ['userful', 'userful2'], ['greeter'], ['userful2', 'greeter']];
  const made = stacks.flatMap((apps, i) =>
    ['x', 'y'].map((name) => t.apps.create(`${name}${i}`, ...apps)),
  );
  const all = await Promise.all([...made, t.root.byref('patch', 'tiny')]);
  expect(
    all.map(({ code }) => code),
    all.map(({ stderr }) => stderr).join(''),
  ).toEqual(all.map(() => 0));
  for (const [i] of stacks.entries()) {
    for (const name of ['x', 'y']) {
      const env = await t.mounted(`${name}${i}`);
      expect(await stateOf(env)).toBe(NEW);
      expect(await env.complaints()).toBe('');
    }
  }
});

test('while a stack is composed, others write: apps and pins of the same env, another env', async () => {
  const [a] = await makeEnvs();
  const patching = t.root.byref('patch', 'tiny');
  await expect.poll(scratchMounts, { interval: 20, timeout: 10_000 }).toHaveLength(1);
  const others = await Promise.all([
    t.root.byref('app', 'add', 'a', 'userful2'),
    t.root.byref('pin', 'a', 'userful'),
    t.root.byref('destroy', 'c'),
    t.root.byref('create', 'd', '--os', 'tiny'),
  ]);
  for (const { code, stderr } of [...others, await patching]) expect(code, stderr).toBe(0);
  const d = await t.mounted('d');
  expect(await Promise.all([a!, d].map(stateOf))).toEqual([NEW, NEW]);
  expect(await a!.packages()).toEqual(['userful 1.0', 'userful2 1.0']);
  expect(await a!.complaints()).toBe('');
  const { stack } = await t.root.info('a');
  expect(stack).toMatchObject([
    { template: 'tiny', pinned: false },
    { template: 'userful', pinned: true },
    { template: 'userful2', pinned: false },
  ]);
  expect(await t.root.findings()).toEqual([]);
});
