/** Volumes: directories of the machine's file system in running envs. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { VolumeInfo } from '../../src/services/env-volumes.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { RunRoot } from './run-root.ts';

const FAILPOINTS_MAX = 40;
const MIB = 2 ** 20;

let r: RunRoot;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  await r.root.create('db', 'tiny');
});
afterEach(() => r.dispose());

const add = async (at: string): Promise<VolumeInfo> =>
  r.root.json<VolumeInfo>('volume', 'add', 'db', at);

test('it has what the env had there, under the ids that the env sees, and is there at each start', async () => {
  await r.root.ok('start', 'db');
  await r.exec(
    'db',
    'useradd data; mkdir -m 750 /srv/data; echo old >/srv/data/file; chown -R data:data /srv/data',
  );
  expect(await r.root.byref('volume', 'add', 'db', '/srv/data')).toMatchObject({ code: EXIT.busy });
  await r.root.ok('stop', 'db');
  const { directory } = await add('/srv/data');
  await r.root.ok('start', 'db');
  expect(await r.exec('db', 'stat -c "%U %a" /srv/data; cat /srv/data/file')).toBe(
    'data 750\nold\n',
  );
  expect(await r.exec('db', 'stat -f -c %T /srv/data')).not.toMatch(/fuse/);
  await r.exec('db', 'echo new >/srv/data/file; touch /srv/data/more');
  expect(readFileSync(path.join(directory, 'file'), 'utf8')).toBe('new\n');
  // On the machine they are the env's ids, as in its other files.
  const uid = Number(await r.exec('db', 'id -u data'));
  expect(statSync(path.join(directory, 'file')).uid).toBe(uid);
  await r.root.ok('restart', 'db');
  expect(await r.exec('db', 'ls /srv/data')).toBe('file\nmore\n');
  await r.root.ok('stop', 'db');
  expect(readFileSync(path.join(directory, 'file'), 'utf8')).toBe('new\n');
});

test('it is counted, cloned and destroyed with its env', async () => {
  const { directory } = await add('/srv/new');
  writeFileSync(path.join(directory, 'large'), Buffer.alloc(4 * MIB, 'x'));
  expect((await r.root.info('db')).privateBytes).toBeGreaterThanOrEqual(4 * MIB);
  await r.root.ok('clone', 'db', 'copy');
  const [copied] = await r.root.json<VolumeInfo[]>('volume', 'list', 'copy');
  expect(readFileSync(path.join(copied!.directory, 'large')).length).toBe(4 * MIB);
  await r.root.ok('start', 'copy', 'db');
  await r.exec('copy', 'rm /srv/new/large');
  expect(await r.exec('db', 'ls /srv/new')).toBe('large\n');
  await r.root.ok('destroy', '--force', 'db');
  expect(existsSync(directory)).toBe(false);
  expect(await r.exec('copy', 'ls /srv/new')).toBe('');
});

test('it is given up only when that is meant; then the env has what it had before', async () => {
  await r.root.ok('start', 'db');
  await r.exec('db', 'mkdir /srv/data; echo before >/srv/data/file');
  await r.root.ok('stop', 'db');
  const { directory } = await add('/srv/data');
  const refused = await r.root.byref('volume', 'rm', 'db', '/srv/data');
  expect(refused).toMatchObject({ code: EXIT.busy });
  expect(refused.stderr).toContain('--force');
  expect(readFileSync(path.join(directory, 'file'), 'utf8')).toBe('before\n');
  await r.root.ok('volume', 'rm', '--force', 'db', '/srv/data/');
  expect(await r.root.json('volume', 'list', 'db')).toEqual([]);
  await r.root.ok('start', 'db');
  expect(await r.exec('db', 'cat /srv/data/file')).toBe('before\n');
});

test.each([
  ['/', EXIT.usage],
  ['/proc/x', EXIT.usage],
  ['relative', EXIT.usage],
  ['/etc/passwd', EXIT.badInput],
])('there can be none at %s', async (at, code) => {
  expect(await r.root.byref('volume', 'add', 'db', at)).toMatchObject({ code });
  expect(await r.root.json('volume', 'list', 'db')).toEqual([]);
});

test('there can be none in another', async () => {
  await add('/srv/a');
  for (const at of ['/srv/a', '/srv/a/b', '/srv'])
    expect(await r.root.byref('volume', 'add', 'db', at)).toMatchObject({ code: EXIT.exists });
  expect(await r.root.byref('volume', 'rm', 'db', '/srv')).toMatchObject({ code: EXIT.notFound });
});

test('a symlink on the way leads to where it does in the env', async () => {
  await r.root.ok('start', 'db');
  await r.exec('db', 'mkdir -p /srv/real; ln -s /srv/real /srv/link; ln -s /etc /srv/etc');
  await r.root.ok('stop', 'db');
  await add('/srv/link/data');
  await r.root.ok('start', 'db');
  expect(await r.exec('db', 'touch /srv/real/data/file; ls /srv/link/data')).toBe('file\n');
});

test('volume add, killed at any point, has given it whole or not at all', {
  timeout: 300_000,
}, async () => {
  await r.root.ok('start', 'db');
  await r.exec('db', 'mkdir /srv/data; echo data >/srv/data/file');
  await r.root.ok('stop', 'db');
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const { code } = await runKilledAt(r.root, `*:${n}`, ['volume', 'add', 'db', '/srv/data']);
    const volumes = await r.root.json<VolumeInfo[]>('volume', 'list', 'db');
    for (const { directory } of volumes)
      expect(readFileSync(path.join(directory, 'file'), 'utf8')).toBe('data\n');
    if (volumes.length > 0) await r.root.ok('volume', 'rm', '--force', 'db', '/srv/data');
    if (code === 0) return r.endHolder();
  }
  expect.unreachable('it came by more failpoints than expected');
});
