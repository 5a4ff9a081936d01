import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, TREE } from '../support/machine/program.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let apps: TinyApps;

beforeAll(async () => {
  systems = await TinySystems.create();
  apps = await TinyApps.create(systems);
});
afterAll(async () => {
  await apps.dispose();
  await systems.dispose();
});

const SCRIPT = path.join(TREE, 'scripts/small-repo.sh');

/** What the README's first session does: it is to show a patch on any day. */
test('the small repository has one package, and another version of it makes a patch that does something', async () => {
  const dir = path.join(apps.root.base, 'repo');
  const publish = async (version: string): Promise<void> => {
    const { code, stdout, stderr } = await run('bash', [SCRIPT, dir, version]);
    expect([code, stdout, stderr]).toEqual([0, '', '']);
  };
  const from = { repository: `file://${dir}`, suite: 'stable', keyring: path.join(dir, 'key.gpg') };
  await publish('1.0');
  const { version } = await apps.build('hello', ['hello-byref'], from);
  expect(version).toMatchObject({ number: 1 });
  const env = await apps.env('e', 'hello');
  expect(await env.run('hello-byref')).toBe('hello from hello-byref 1.0\n');
  await publish('1.1');
  await apps.root.ok('template', 'update', 'hello');
  expect(await apps.root.ok('patch', 'hello')).toContain('1 env sees it now');
  expect(await env.run('hello-byref')).toBe('hello from hello-byref 1.1\n');
  await apps.root.ok('rollback', 'hello');
  expect(await env.run('hello-byref')).toBe('hello from hello-byref 1.0\n');
});
