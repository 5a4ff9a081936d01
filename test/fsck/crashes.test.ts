/** What a command leaves that is killed at any of its failpoints is no damage: at most there are leftovers. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { find } from '../support/damage/damage.ts';
import { KILL_STEP } from '../support/damage/failpoints.ts';
import { copyRoot, healthyRoot, useHealthyRoot } from '../support/damage/healthy-root.ts';
import { runByref } from '../support/machine/program.ts';

useHealthyRoot();

/** More than any of them has. */
const FAILPOINTS_MAX = 40;

/** By name; SOURCE is a directory to import. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'a patch that sets files aside': ['patch', 'os', '--to', '3', '--take', '/etc', '--take', '/usr'],
  'a rollback': ['rollback', 'os'],
  'an import': ['template', 'import', 'os', 'SOURCE'],
  'the removal of a version': ['template', 'rm', 'os@1', '--force'],
  'a collection of garbage': ['gc', '--keep', '0'],
  'a destroy': ['destroy', 'web'],
  'an env that is made': ['create', 'new', '--os', 'os', '--app', 'app', '--volume', '/srv/a'],
  'a clone': ['clone', 'web', 'like'],
  'another name': ['rename', 'web', 'site'],
  'a pin': ['pin', 'idle', 'os@2'],
  'an app that goes': ['app', 'remove', 'web', 'app'],
};

test.each(Object.entries(COMMANDS))('%s', { timeout: 120_000 }, async (_, words) => {
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const root = copyRoot();
    const source = path.join(healthyRoot().base, 'v3');
    const args = words.map((word) => (word === 'SOURCE' ? source : word));
    const env = { ...healthyRoot().env, BYREF_FAILPOINT: `*:${n}` };
    const { code, stderr } = await runByref([...args, '--root', root], { env });
    const found = await find(root, { full: true });
    const errors = found.filter(({ severity }) => severity === 'error');
    expect(errors, `killed at failpoint ${n}`).toEqual([]);
    const left = await find(root, { repair: true });
    expect(left.filter(({ repaired }) => !repaired)).toEqual([]);
    expect(await find(root, { full: true })).toEqual([]);
    if (code === 0) return;
    expect(code, stderr).toBe(-1);
  }
  expect.fail('it has more failpoints than that');
});
