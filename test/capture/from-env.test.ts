/** What an env changed becomes an app, and the env stays as it is. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { type CaptureJson, Captures } from './captures.ts';

let captures: Captures;

beforeAll(async () => {
  captures = await Captures.create();
});
afterAll(() => captures.dispose());

const CHANGE = `useradd --system --create-home --home-dir /opt/grown grown; echo data >/opt/grown/data
  touch -d 2020-02-02 /opt/grown/data; chown grown /opt/grown/data; rm /etc/host.conf`;

const fromEnv = async (name: string, env: string, ...options: string[]): Promise<CaptureJson> =>
  captures.root.json('template', 'capture', name, '--from-env', env, ...options);

test('an env that was traced: who wrote what; stopped or mounted, it is the same tree', async () => {
  await captures.root.create('traced', 'tiny');
  const mount = await captures.root.mount('traced', '--trace');
  await captures.inside(mount, CHANGE);
  const before = await captures.root.ok('diff', 'traced');
  const owner = await captures.inside(mount, 'stat -c %u:%Y /opt/grown/data');
  const made = await fromEnv('grown', 'traced');
  expect(made).toMatchObject({
    end: 'stored',
    traced: true,
    version: { number: 1, note: 'captured: env traced' },
    removed: [{ path: '/etc/host.conf', programs: ['rm'] }],
  });
  expect(await captures.content('grown', '/var/lib/byref/captured/grown.list')).toContain(
    'sh, touch, chown\t/opt/grown/data\n',
  );
  expect(await fromEnv('grown', 'traced')).toMatchObject({ end: 'unchanged' });
  await captures.root.umount('traced');
  // Nobody knows who wrote it any more: that is another listing, and else the same.
  const again = await fromEnv('grown', 'traced');
  expect(again).toMatchObject({ end: 'stored', traced: false, version: { number: 2 } });
  expect(await captures.root.ok('template', 'diff', 'grown', '1', '2')).toBe(
    'C /var/lib/byref/captured/grown.list\n',
  );
  expect(await captures.root.ok('diff', 'traced')).toBe(before);
  expect(await captures.root.info('traced')).toMatchObject({ state: 'stopped' });
  await captures.root.mount('traced');
  expect(await captures.inside(mount, 'stat -c %u:%Y /opt/grown/data')).toBe(owner);
  const [uid, time] = owner.trim().split(':');
  const said = await captures.inEnv(['grown'], 'stat -c %u:%U:%Y /opt/grown/data');
  expect(said).toBe(`${made.accounts.users[0]?.uid}:grown:${time}\n`);
  expect(Number(uid)).toBeGreaterThan(899);
});

test('an env of apps; one in use is said to be; one that changed nothing is refused', async () => {
  await captures.captured('below', 'echo below >/usr/share/below');
  await captures.root.create('apps', 'tiny', 'below');
  const mount = await captures.root.mount('apps');
  const nothing = await captures.root.byref('template', 'capture', 'n', '--from-env', 'apps');
  expect([nothing.code, nothing.stderr]).toEqual([
    EXIT.badInput,
    expect.stringContaining('nothing was written that could be stored as n'),
  ]);
  const user = captures.root.background(`cd ${mount}; echo on top >usr/share/top; exec sleep 60`);
  await expect
    .poll(() => captures.root.ok('diff', 'apps'), { timeout: 10_000 })
    .toContain('/usr/share/top');
  const { stderr } = await captures.root.byref('template', 'capture', 'top', '--from-env', 'apps');
  user.kill('SIGKILL');
  expect(stderr).toContain('byref: apps is in use by ');
  expect(await captures.files('top')).toEqual([
    '/usr/share/top',
    '/var/lib/byref/captured/top.list',
  ]);
  const log = await captures.root.json<{ note: string }[]>('template', 'log', 'top');
  expect(log[0]?.note).toBe('captured: env apps; on below@1');
});
