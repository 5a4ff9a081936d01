/** Envs that run are moved to another root. */
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvMoved } from '../../src/services/move-env.ts';
import { shellTo } from '../backup/remote-shell.ts';
import { BYREF } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

let [here, there] = [] as unknown as [RunRoot, RunRoot];

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  [here, there] = [await RunRoot.create(), await RunRoot.create()];
  await here.root.ok('create', 'web', '--os', 'tiny', '--volume', '/srv');
  await here.root.ok('start', 'web');
  await here.exec('web', 'echo root >/root/file; echo volume >/srv/file');
});
afterEach(async () => {
  await here.dispose();
  await there.dispose();
});

const LOOK = 'cat /root/file /srv/file /etc/machine-id; hostname';

test('it runs there, with its volumes and identity, and is gone here', async () => {
  const before = await here.exec('web', LOOK);
  const shell = shellTo(here.root, there.root);
  const words = ['move', 'web', 'other', '--rsh', shell, '--remote-byref', BYREF, '--fast'];
  const moved = await here.root.json<EnvMoved>(...words);
  const { pid } = await there.root.info('web');
  expect(moved).toMatchObject({ there: { name: 'web', pid }, moved: true, versions: [] });
  expect(await there.exec('web', LOOK)).toBe(before);
  expect(await here.root.json('list')).toEqual([]);
  expect(here.leftovers()).toEqual([]);
});

test('it runs here again if it can’t be moved, or started there', async () => {
  const before = await here.exec('web', LOOK);
  const expectHere = async (...words: string[]): Promise<void> => {
    const { code, stderr } = await here.root.byref('move', 'web', 'other', '--fast', ...words);
    expect(code).not.toBe(0);
    expect(stderr).toContain('web is started here again');
    expect(await here.exec('web', LOOK)).toBe(before);
    expect(await there.root.json('list')).toEqual([]);
  };
  const byref = ['--remote-byref', BYREF];
  // The runtime is not there.
  const noRuntime = shellTo(here.root, there.root, 'env BYREF_RUNTIME=/nothing/there');
  await expectHere('--rsh', noRuntime, ...byref);
  const killed = shellTo(here.root, there.root, "env BYREF_FAILPOINT='receive-confirmed:1'");
  await expectHere('--rsh', killed, ...byref);
  await there.root.ok('gc');
  expect(await there.root.findings()).toEqual([]);
});
