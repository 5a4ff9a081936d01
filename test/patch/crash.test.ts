import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

let t: PatchRoot;

/** More failpoints than a patch comes by. */
const FAILPOINTS_MAX = 60;
const ENVS = ['a', 'b', 'c'];
const HEALTHY = ['--stages', '1,2,100%', '--health', 'true', '--health-on', 'host'];

beforeEach(async () => {
  t = await PatchRoot.create();
  await t.version({
    'usr/v': 'one',
    'etc/conf': 'a\nb\nc\nd\n',
    'etc/taken': 'one',
    'usr/gone': 'x',
  });
  await t.version({
    'usr/v': 'two',
    'etc/conf': 'a\nb\nc\nD\n',
    'etc/taken': 'two',
    'usr/new': 'x',
  });
});
afterEach(() => t.dispose());

/** Three envs with files of their own; the last one is not mounted. */
async function makeEnvs(): Promise<void> {
  await t.envs(...ENVS);
  for (const env of ENVS)
    await t.in(env, 'sed -i s/^a$/A/ etc/conf; echo mine >etc/taken; echo own >etc/own');
  await t.root.ok('umount', 'c');
}

/** What an env that is wholly at a version has; `acted`: and where the policies were applied. */
const STATES = {
  'one, own': 'one|A b c d|mine|own|usr/gone',
  'two, own': 'two|A b c d|mine|own|usr/new',
  'two, acted': 'two|A b c D|two|own|usr/new',
};

async function stateOf(env: string): Promise<string> {
  const text = await t.out(
    env,
    'printf "%s|%s|%s|%s|%s" "$(cat usr/v)" "$(tr "\\n" " " <etc/conf | sed "s/ $//")" "$(cat etc/taken)" "$(cat etc/own)" "$(ls usr/gone usr/new 2>/dev/null)"',
  );
  return Object.entries(STATES).find(([, state]) => state === text)?.[0] ?? text;
}

async function allStates(): Promise<string[]> {
  await t.root.ok('mount', 'c');
  const states = await Promise.all(ENVS.map(stateOf));
  await t.root.ok('umount', 'c');
  return states;
}

/** Runs a command that dies at its n-th failpoint; its exit code, -1 if it died. */
const dieAt = async (n: number, ...command: string[]): Promise<number> =>
  (await t.root.run(command, { env: { ...t.root.env, BYREF_FAILPOINT: `*:${n}` } })).code;

const newest = async (): Promise<PatchRecord> => (await t.root.json<PatchRecord[]>('history'))[0]!;

const POLICIES = ['--take', '/etc/taken', '--merge', '/etc/conf'];

test.each([
  ['a patch', ['patch', 't', '--to', '2', ...POLICIES]],
  ['a rollout in stages', ['patch', 't', '--to', '2', ...POLICIES, ...HEALTHY]],
])(
  '%s that is killed at any point is finished or taken back by the next command',
  async (_, command) => {
    await makeEnvs();
    let finished = 0;
    let undone = 0;
    for (let n = 1; n < FAILPOINTS_MAX; n++) {
      const code = await dieAt(n, ...command);
      if (code === 0) {
        expect(undone).toBeGreaterThan(0);
        expect(finished).toBeGreaterThan(1);
        return;
      }
      // Drivers that were told of it agree by themselves, before any further command.
      await expect
        .poll(async () => {
          const states = await Promise.all(['a', 'b'].map(stateOf));
          const rolling = command.includes('--stages');
          return rolling || new Set(states.map((state) => state.split(',')[0])).size === 1;
        })
        .toBe(true);
      const states = await allStates();
      expect(new Set(states).size, `${n}: ${states.join('; ')}`).toBe(1);
      const record = await newest();
      if (states[0] === 'one, own') {
        undone++;
        expect(record.state).toBe('undone');
      } else {
        finished++;
        expect(states[0]).toBe('two, acted');
        expect(record).toMatchObject({ state: 'done', all: true });
        await t.root.ok('rollback', 't');
        expect(await allStates()).toEqual(['one, own', 'one, own', 'one, own']);
      }
    }
    expect.unreachable('it came by more failpoints than expected');
  },
  600_000,
);

test('a rollback that is killed at any point is finished or taken back by the next command', async () => {
  await makeEnvs();
  for (let n = 1; n < FAILPOINTS_MAX; n++) {
    await t.patch('--to', '2', ...POLICIES);
    const code = await dieAt(n, 'rollback', 't');
    const states = await allStates();
    expect(new Set(states).size, `${n}: ${states.join('; ')}`).toBe(1);
    if (code === 0) {
      expect(states[0]).toBe('one, own');
      expect(n).toBeGreaterThan(4);
      return;
    }
    if (states[0] === 'two, acted') await t.rollback();
    else expect(states[0]).toBe('one, own');
    expect(await allStates()).toEqual(['one, own', 'one, own', 'one, own']);
  }
  expect.unreachable('it came by more failpoints than expected');
}, 600_000);

test('a driver that is killed at any point of the flip: after a restart all envs agree', async () => {
  for (let n = 1; n < FAILPOINTS_MAX; n++) {
    const root = await PatchRoot.create();
    const died = await driverDiesAt(root, n);
    await root.dispose();
    if (!died) {
      expect(n).toBeGreaterThan(4);
      return;
    }
  }
  expect.unreachable('it came by more failpoints than expected');
}, 600_000);

/** Two shards, one of whose drivers dies; false if it came by no n-th failpoint. */
async function driverDiesAt(root: PatchRoot, n: number): Promise<boolean> {
  await root.version({ 'usr/v': 'one', 'etc/taken': 'one' });
  await root.version({ 'usr/v': 'two', 'etc/taken': 'two' });
  for (const env of ['a', 'b']) await root.root.ok('create', env, '--os', 't');
  // Inherited by the driver that this starts; no other process comes by these.
  const armed = { ...root.root.env, BYREF_FAILPOINT: `flip-*:${n}` };
  const mounted = await root.root.run(['mount', 'a', 'b'], { env: armed });
  expect(mounted.code, mounted.stderr).toBe(0);
  await root.in('a', 'echo mine >etc/taken');
  const { stdout } = await root.root.run(['patch', 't', '--take', '/etc', '--json']);
  const record = JSON.parse(stdout) as PatchRecord;
  const { state } = await root.root.info('a');
  const died = state === 'dead';
  expect(record.envs.every(({ outcome }) => outcome === (died ? 'failed' : 'flipped'))).toBe(true);
  await root.root.ok('umount', '--all');
  await root.root.ok('mount', '--all');
  expect([await root.out('a', 'cat usr/v'), await root.out('b', 'cat usr/v')]).toEqual([
    'two',
    'two',
  ]);
  // And what the policy says was done, in whichever way.
  expect(await root.out('a', 'cat etc/taken')).toBe('two');
  return died;
}
