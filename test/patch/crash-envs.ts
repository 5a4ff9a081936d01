import { afterEach, beforeEach, expect } from 'vitest';
import type { HistoryEntry } from '../../src/services/history.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

let t: PatchRoot;

/** More failpoints than a patch comes by. */
export const FAILPOINTS_MAX = 60;
const ENVS = ['a', 'b', 'c'];

/** For a file of tests: each has a root of its own, whose template has two versions. */
export function usePatchRoot(): () => PatchRoot {
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
  return () => t;
}

/** Three envs with files of their own; the last one is not mounted. */
export async function makeEnvs(): Promise<void> {
  await t.envs(...ENVS);
  for (const env of ENVS)
    await t.in(env, 'sed -i s/^a$/A/ etc/conf; echo mine >etc/taken; echo own >etc/own');
  await t.root.umount('c');
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

/** Returns the states of all three envs, with the last one mounted to be looked at. */
export async function allStates(): Promise<string[]> {
  await t.root.mount('c');
  const states = await Promise.all(ENVS.map(stateOf));
  await t.root.umount('c');
  return states;
}

const newest = async (): Promise<HistoryEntry> => (await t.root.history())[0]!;

/** What the patches of these tests do with the files of envs. */
export const POLICIES = ['--take', '/etc/taken', '--merge', '/etc/conf'];

/** Kills a patch at each point: it is finished or taken back by the next command. */
export async function killPatch(command: readonly string[]): Promise<void> {
  await makeEnvs();
  let finished = 0;
  let undone = 0;
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const { code } = await runKilledAt(t.root, `*:${n}`, command);
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
}
