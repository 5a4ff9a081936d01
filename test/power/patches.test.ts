/** Cuts the power in the middle of imports, patches and rollbacks: the root is whole, and all envs have one version or the other. */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { KILL_STEP } from '../support/damage/failpoints.ts';
import { BYREF } from '../support/machine/program.ts';
import { Machine } from './machine.ts';
import type { FileSystemType } from './power-disk.ts';

const ENVS = ['used', 'unused'];
const FILES = ['etc/version', 'usr/lib/one', 'usr/lib/two'];
const TEST_MS = 180_000;
/** From one failpoint of a command at which the power is cut to the next: in the suite there is time for a few. */
const STEP = KILL_STEP === 1 ? 1 : 4;

let machine: Machine;
afterEach(() => machine.dispose(), TEST_MS);

/** A tree of the template, beside the disk. */
function tree(version: number): string {
  const dir = path.join(machine.disk.beside, `version-${version}`);
  for (const file of [...FILES, `usr/lib/only-${version}`]) {
    fs.mkdirSync(path.join(dir, path.dirname(file)), { recursive: true });
    fs.writeFileSync(path.join(dir, file), `${file} of ${version}\n`.repeat(2000));
  }
  return dir;
}

/** Which version each env has. All its files have to be of that one. */
async function versions(): Promise<number[]> {
  const found: number[] = [];
  for (const env of ENVS) {
    const texts = FILES.map((file) => fs.readFileSync(path.join(machine.mnt, env, file), 'utf8'));
    const version = Number(/ of (\d+)/.exec(texts[0]!)?.[1]);
    expect(texts).toEqual(FILES.map((file) => `${file} of ${version}\n`.repeat(2000)));
    const only = fs.readdirSync(path.join(machine.mnt, env, 'usr/lib'));
    expect(only.toSorted()).toEqual(['one', `only-${version}`, 'two']);
    found.push(version);
  }
  return found;
}

/** Runs a command, and cuts the power when it comes to its N-th failpoint. @returns false if it ended before */
async function cutAt(failpoint: number, command: readonly string[]): Promise<boolean> {
  const hits = path.join(machine.disk.beside, 'hits');
  fs.rmSync(hits, { force: true });
  const { root } = machine;
  Object.assign(root.env, {
    BYREF_FAILPOINT: `*:${failpoint}:hold`,
    BYREF_FAILPOINT_HITS: hits,
  });
  const child = root.background('exec "$@"', BYREF, ...command);
  delete root.env['BYREF_FAILPOINT'];
  delete root.env['BYREF_FAILPOINT_HITS'];
  const isHeld = (): boolean =>
    fs.existsSync(hits) && fs.readFileSync(hits, 'utf8').includes('fault');
  await expect.poll(() => isHeld() || child.exitCode !== null, { timeout: 60_000 }).toBe(true);
  const wasHeld = isHeld();
  await machine.cut(async () => {
    child.kill('SIGKILL');
    await expect.poll(() => child.exitCode ?? child.signalCode).not.toBeNull();
  });
  return wasHeld;
}

for (const type of ['ext4', 'xfs', 'btrfs'] satisfies FileSystemType[]) {
  test(`${type}: imports, patches and rollbacks`, { timeout: TEST_MS }, async () => {
    machine = await Machine.start(type, ENVS);
    const { root } = machine;
    await root.import('os', tree(1));
    await root.ok('patch', 'os');
    await machine.sh('echo own >usr/lib/own; rm usr/lib/own; sync', 'used');
    let newest = 1;
    for (let at = 2; ; at += STEP) {
      // What was cut short is there, whole, or not at all; and can be done again.
      const imports = await cutAt(at, ['template', 'import', 'os', tree(newest + 1)]);
      await machine.findsNothing();
      await root.byref('template', 'import', 'os', tree(++newest));
      expect(await versions()).toEqual([newest - 1, newest - 1]);

      const patches = await cutAt(at, ['patch', 'os']);
      const after = await versions();
      expect([newest - 1, newest], String(after)).toContain(after[0]);
      expect(after[1]).toBe(after[0]);
      await machine.findsNothing();
      if (after[0] !== newest) await root.ok('patch', 'os');
      expect(await versions()).toEqual([newest, newest]);

      const backs = await cutAt(at, ['rollback', 'os']);
      const then = await versions();
      expect([newest - 1, newest], String(then)).toContain(then[0]);
      expect(then[1]).toBe(then[0]);
      await machine.findsNothing();
      if (then[0] !== newest) await root.ok('patch', 'os');
      expect(await versions()).toEqual([newest, newest]);
      if (!imports && !patches && !backs) break;
    }
    expect(newest).toBeGreaterThan(2);
  });
}
