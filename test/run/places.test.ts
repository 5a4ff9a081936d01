/** What a running env has beside its root: volumes with a size, binds of the machine, directories in memory. */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvConfig } from '../../src/services/env-config.ts';
import type { VolumeInfo } from '../../src/services/env-volumes.ts';
import { RunRoot } from './run-root.ts';

const MIB = 2 ** 20;

let r: RunRoot;
/** A directory of the machine that only root reaches. */
let shared: string;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  shared = r.root.directory('closed/shared');
  chmodSync(path.dirname(shared), 0o700);
});
afterEach(() => r.dispose());

const create = (...options: string[]): Promise<string> =>
  r.root.ok('create', 'env', '--os', 'tiny', ...options);
const refused = async (...options: string[]): Promise<{ code: number; stderr: string }> =>
  r.root.byref('create', 'other', '--os', 'tiny', ...options);

test('a volume holds no more than its size, and begins with what the env had there', async () => {
  await create('--volume', '/etc/init.d:8MiB', '--volume', '/srv/plain');
  const had = await r.root.ok('run', '--rm', 'tiny', '--', 'sh', '-c', 'ls /etc/init.d; :');
  await r.root.ok('start', 'env');
  expect(await r.exec('env', 'ls /etc/init.d; :')).toBe(had);
  const fill = 'head -c 20000000 /dev/zero >/etc/init.d/fill; stat -c %s /etc/init.d/fill';
  const { stdout, stderr } = await r.root.byref('exec', 'env', '--', 'sh', '-c', fill);
  expect(stderr).toContain('No space left');
  expect(Number(stdout)).toBeLessThanOrEqual(8 * MIB);
  expect(Number(stdout)).toBeGreaterThan(4 * MIB);
  const total = Number(await r.exec('env', 'echo $(($(stat -f -c %b*%S /etc/init.d)))'));
  expect(total).toBeLessThanOrEqual(8 * MIB);
  // It takes of the disk what is in it.
  const [volume] = await r.root.json<VolumeInfo[]>('volume', 'list', 'env');
  expect(volume).toMatchObject({ path: '/etc/init.d', sizeBytes: 8 * MIB });
  expect(statSync(volume!.directory).size).toBe(8 * MIB);
  await r.exec('env', 'rm /etc/init.d/fill; echo kept >/etc/init.d/file; sync');
  await r.root.ok('restart', 'env');
  expect(await r.exec('env', 'cat /etc/init.d/file')).toBe('kept\n');
  await r.root.ok('stop', 'env');
  await r.root.ok('clone', 'env', 'copy');
  await r.root.ok('start', 'copy', 'env');
  await r.exec('copy', 'rm /etc/init.d/file');
  expect(await r.exec('env', 'cat /etc/init.d/file')).toBe('kept\n');
  expect((await r.root.info('env')).volumes).toEqual(['/etc/init.d:8MiB', '/srv/plain']);
  await r.root.ok('stop', 'env');
  const busy = await r.root.byref('volume', 'rm', 'env', '/etc/init.d');
  expect(busy).toMatchObject({ code: EXIT.busy });
  await r.root.ok('volume', 'rm', '--force', 'env', '/etc/init.d');
  await r.root.ok('volume', 'add', 'env', '/srv/later:4MiB');
  await r.root.ok('start', 'env');
  expect(await r.exec('env', 'stat -c %u:%a /srv/later; ls /srv/later')).toBe('0:755\n');
});

test('what is bound is the machine’s, with the ids that the env sees', async () => {
  writeFileSync(path.join(shared, 'file'), 'machine\n');
  writeFileSync(path.join(r.root.base, 'one.conf'), 'read only\n');
  await create(
    ...['--bind', `${shared}:/srv/shared`, '--bind', `${r.root.base}/one.conf:/etc/one.conf:ro`],
    ...['--tmpfs', '/srv/shared/memory:1MiB'],
  );
  await r.root.ok('start', 'env');
  const script = 'cat /srv/shared/file /etc/one.conf; stat -c %u /srv/shared/file';
  expect(await r.exec('env', script)).toBe('machine\nread only\n0\n');
  await r.exec('env', 'useradd own; touch /srv/shared/new; chown own /srv/shared/new');
  expect(statSync(path.join(shared, 'new')).uid).toBe(Number(await r.exec('env', 'id -u own')));
  for (const write of ['echo x >/etc/one.conf', 'rm /etc/one.conf', 'chmod 777 /etc/one.conf'])
    expect((await r.root.byref('exec', 'env', '--', 'sh', '-c', write)).code).not.toBe(0);
  expect(readFileSync(path.join(r.root.base, 'one.conf'), 'utf8')).toBe('read only\n');
  const full = 'head -c 3000000 /dev/zero >/srv/shared/memory/x';
  expect((await r.root.byref('exec', 'env', '--', 'sh', '-c', full)).code).not.toBe(0);
  await r.root.ok('restart', 'env');
  expect(await r.exec('env', 'ls /srv/shared/memory')).toBe('');
});

test('what can’t have the env’s ids is bound as it is', async () => {
  await create('--bind', '/sys/kernel/mm:/srv/mm:ro');
  await r.root.ok('start', 'env');
  expect(await r.exec('env', 'stat -c %u /srv/mm')).toBe('65534\n');
});

test('no more of the machine than is meant is bound', async () => {
  const run = r.root.env['BYREF_RUN']!;
  const root = path.join(r.root.base, 'root');
  mkdirSync(path.join(shared, 'directory'));
  for (const at of [
    '/',
    root,
    path.dirname(root),
    `${root}/objects`,
    run,
    '/tmp',
    '/proc/self/root',
  ])
    expect(await refused('--bind', `${at}:/srv:ro`), at).toMatchObject({ code: EXIT.usage });
  const open = await refused('--bind', '/etc:/srv');
  expect(open).toMatchObject({ code: EXIT.usage });
  expect(open.stderr).toContain('set-user-ID');
  expect(await refused('--bind', '/nowhere:/srv:ro')).toMatchObject({ code: EXIT.badInput });
  for (const text of [
    '/etc',
    'etc:/srv',
    '/etc:srv',
    '/etc:/srv:wo',
    '/etc:/proc/x:ro',
    '/etc:/:ro',
  ])
    expect(await refused('--bind', text), text).toMatchObject({ code: EXIT.usage });
  await create();
  const set = await r.root.byref('set', 'env', `binds=${root}:/srv:ro`);
  expect(set).toMatchObject({ code: EXIT.usage });
  expect((await r.root.info('env')).settings).toEqual({});
});

test.each([
  ['--volume', '/srv:1K', EXIT.usage],
  ['--volume', '/srv:big', EXIT.usage],
  ['--volume', 'srv', EXIT.usage],
  ['--tmpfs', '/proc', EXIT.usage],
  ['--tmpfs', '/tmp:0', EXIT.usage],
])('%s %s is refused', async (option, text, code) => {
  expect(await refused(option, text)).toMatchObject({ code });
});

test('two things can’t be at one path', async () => {
  for (const more of [
    ['--volume', '/srv/a/b'],
    ['--volume', '/srv/a'],
    ['--tmpfs', '/srv/a'],
  ])
    expect(await refused('--volume', '/srv/a', ...more)).toMatchObject({ code: EXIT.exists });
});

test('the file of an env has them all', async () => {
  await create('--volume', '/srv/v:4MiB', '--bind', '/etc/fstab:/x:ro', '--tmpfs', '/t');
  const file = path.join(r.root.base, 'env.yaml');
  writeFileSync(file, await r.root.ok('info', 'env', '--config'));
  await r.root.ok('create', 'second', '--from-config', file);
  expect(await r.root.json<EnvConfig>('info', 'second', '--config')).toMatchObject({
    volumes: ['/srv/v:4MiB'],
    binds: ['/etc/fstab:/x:ro'],
    tmpfs: ['/t'],
    settings: {},
  });
});
