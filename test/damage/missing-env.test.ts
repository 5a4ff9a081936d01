/** The directory of an env that is gone is damage, and not an env that has changed nothing. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
beforeAll(async () => {
  root = await TestRoot.create();
  await root.import('os', root.directory('source'));
  await root.create('one', 'os');
  await root.create('never', 'os');
  await sh('echo mine >"$1/mine"', [await root.mount('one')]);
  await root.umount();
});
afterAll(() => root.dispose());

test.each(['missing', 'empty'])(
  '%s: mount and fsck say so; when it is back, all is there',
  async (how) => {
    const directory = path.join(root.path, 'envs/1');
    renameSync(directory, `${directory}.away`);
    if (how === 'empty') mkdirSync(directory);
    const mounted = await root.byref('mount', 'one');
    expect(mounted.code).toBe(EXIT.corrupt);
    expect(mounted.stderr).toMatch(new RegExp(`the changes of one are gone: .*envs/1 is ${how}`));
    expect(mounted.stderr).toContain('hint: Mount the volume that it is on');
    const checked = await root.byref('fsck', '--full');
    expect(checked.code).toBe(EXIT.corrupt);
    expect(checked.stdout).toMatch(
      new RegExp(`env one: .*envs/1 is ${how}, and the env had changes`),
    );
    // One that was never mounted has none.
    expect(checked.stdout).not.toContain('env never');
    rmSync(directory, { recursive: true, force: true });
    renameSync(`${directory}.away`, directory);
    await root.ok('fsck', '--full');
    expect((await sh('cat "$1/mine"', [await root.mount('one')])).stdout).toBe('mine\n');
    await root.umount();
  },
);
