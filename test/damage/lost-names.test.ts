/** A journal that is lost takes names with it, and no bytes: whoever mounts the env is told where they are. */
import { readdirSync, readFileSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
beforeEach(async () => {
  root = await TestRoot.create();
  await root.import('os', root.directory('source'));
  await root.create('one', 'os');
});
afterEach(() => root.dispose());

test('the mount says what is lost: that the env can only be read; then, until they are removed, that there are files without a name', async () => {
  const directory = path.join(root.path, 'envs/1');
  const at = await root.mount('one');
  await sh('for i in 1 2 3; do echo "mine $i" >"$1/mine-$i"; done', [at]);
  const { driverPid } = await root.info('one');
  process.kill(driverPid!, 'SIGKILL');
  await expect.poll(async () => (await root.info('one')).state, { timeout: 30_000 }).toBe('dead');
  await root.ok('umount', '--force', 'one');
  for (const name of readdirSync(directory))
    if (name.startsWith('journal.')) truncateSync(path.join(directory, name), 0);
  const damaged = await root.byref('mount', 'one');
  expect(damaged.code, damaged.stderr).toBe(0);
  expect(damaged.stderr).toMatch(
    /byref: one can only be read: .*is gone, or empty: .* byref fsck says what can be done[.]/,
  );
  expect((await sh('echo more >"$1/more"', [at])).stderr).toContain('Read-only file system');
  await root.umount();
  await root.ok('fsck', '--repair', '--accept-loss');
  const mounted = await root.byref('mount', 'one');
  const lost = path.join(directory, 'lost+found');
  expect(mounted.stderr).toContain(`byref: one has lost names: 3 files of it are in ${lost}.`);
  const files = readdirSync(lost).filter((name) => !name.startsWith('journal.'));
  const texts = files.map((name) => readFileSync(path.join(lost, name), 'utf8'));
  expect(texts.sort()).toEqual(['mine 1\n', 'mine 2\n', 'mine 3\n']);
  await root.umount();
  await root.ok('fsck', '--repair', '--remove-lost');
  expect((await root.byref('mount', 'one')).stderr).toBe('');
});
