/** An env of several apps that were built is moved to a machine that has none of them: what they share is merged there as it was here. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvMoved } from '../../src/services/move-env.ts';
import { shellTo } from '../backup/remote-shell.ts';
import { BYREF } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let apps: TinyApps;
let there: TestRoot;

beforeAll(async () => {
  systems = await TinySystems.create();
  for (const name of ['one', 'two'])
    await systems.repo.add({
      ...{ name: `user-${name}`, version: '1.0', arch: 'all' },
      files: { [`/var/lib/${name}`]: { directory: 0o755 } },
      scripts: { postinst: `useradd --system --no-create-home user-${name}` },
    });
  await systems.repo.publish();
  [apps, there] = [await TinyApps.create(systems), await TestRoot.create()];
}, 600_000);
afterAll(async () => {
  await apps.root.dispose();
  await there.dispose();
  await systems.dispose();
});

const ACCOUNTS = 'passwd group shadow';

const accounts = async (root: TestRoot): Promise<string> => {
  const at = await root.mount('both');
  const shown = await root.shell(`for f in ${ACCOUNTS}; do cat etc/$f; done`, at);
  await root.umount('both');
  expect(shown.code, shown.stderr).toBe(0);
  return shown.stdout;
};

test('users of both apps are there', { timeout: 300_000 }, async () => {
  for (const name of ['one', 'two']) await apps.build(name, [`user-${name}`]);
  expect(await apps.create('both', 'one', 'two')).toMatchObject({ code: 0 });
  const before = await accounts(apps.root);
  for (const name of ['one', 'two']) expect(before).toContain(`user-${name}:`);
  const shell = shellTo(apps.root, there);
  const words = ['move', 'both', 'other', '--rsh', shell, '--remote-byref', BYREF];
  const moved = await apps.root.json<EnvMoved>(...words);
  expect(moved.versions).toEqual(['tiny@1', 'one@1', 'two@1']);
  expect(await accounts(there)).toBe(before);
  expect(await there.findings()).toEqual([]);
});
