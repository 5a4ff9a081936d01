/** An env of several apps that were built is moved to a machine that has none of them: what they share is merged there as it was here. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { EnvMoved } from '../../src/services/move-env.ts';
import type { TemplateDetails } from '../../src/services/show-template.ts';
import { shellTo } from '../backup/remote-shell.ts';
import { BYREF, output } from '../support/machine/program.ts';
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

test('they are, too, if the OS has another version than the apps were installed on', {
  timeout: 300_000,
}, async () => {
  for (const { name } of await there.json<EnvSummary[]>('list')) await there.ok('destroy', name);
  for (const app of ['one', 'two', 'tiny']) await there.ok('template', 'rm', app);
  const tree = apps.root.directory('tree');
  await output('sh', ['-c', '"$1" template export tiny - | tar -x -C "$2"', 'sh', BYREF, tree], {
    env: apps.root.env,
  });
  writeFileSync(path.join(tree, 'etc/newer'), 'newer');
  await apps.root.import('tiny', tree);
  expect(await apps.create('both', 'one', 'two')).toMatchObject({ code: 0 });
  await apps.root.ok('patch', 'tiny');
  const before = await accounts(apps.root);
  for (const name of ['one', 'two']) expect(before).toContain(`user-${name}:`);
  const words = ['move', 'both', 'other', '--rsh', shellTo(apps.root, there)];
  const moved = await apps.root.json<EnvMoved>(...words, '--remote-byref', BYREF);
  expect(moved.versions).toEqual(['tiny@2', 'tiny@1', 'one@1', 'two@1']);
  expect(await accounts(there)).toBe(before);
  const { versions } = await there.json<TemplateDetails>('template', 'show', 'tiny');
  expect(versions.map(({ staged }) => staged)).toEqual([false, false]);
  // It stays as long as the apps do.
  await there.ok('gc', '--keep', '0');
  expect(await accounts(there)).toBe(before);
  expect(await there.findings()).toEqual([]);
});
