/** A running env that fills the disk: it is held to its limit, the machine and its neighbour are not touched. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { privateBytes, shown } from '../driver/quota/private-bytes.ts';
import { RunRoot } from './run-root.ts';

const MIB = 2 ** 20;
const LIMIT = 16 * MIB;
const EXCEEDED = 'Disk quota exceeded';

let r: RunRoot;
let env: number;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  for (const name of ['hog', 'neighbour']) await r.root.create(name, 'tiny');
  await r.root.ok('start', 'hog', 'neighbour');
  env = (await r.root.info('hog')).id;
});
afterAll(() => r.dispose());

/** Runs a script in the env as root; what it printed, with its errors. */
const inHog = (script: string): Promise<string> => r.exec('hog', `{ ${script}; } 2>&1 || :`);

test('a disk filler is held to the limit that is set while it runs', async () => {
  const before = await shown(r.root.path);
  await r.root.ok('set', 'hog', `limits.disk=${LIMIT}`, 'limits.disk.inodes=500');
  const said = await inHog('dd if=/dev/zero of=/fill bs=1M count=100');
  expect(said).toContain(EXCEEDED);
  expect(privateBytes(r.root, env)).toBe(LIMIT);
  expect(await inHog('echo more >/root/more')).toContain(EXCEEDED);
  expect(await inHog('df -B1 --output=size,avail / | tail -1')).toMatch(
    new RegExp(`^ *${LIMIT} +0\n`),
  );
  // Others have the disk; the machine has lost no more than the limit.
  expect(await r.exec('neighbour', 'head -c 30M /dev/zero >/big && stat -c %s /big')).toBe(
    `${30 * MIB}\n`,
  );
  const after = await shown(r.root.path);
  expect(after.size).toBe(before.size);
  expect(await inHog('rm /fill; echo again >/root/more; cat /root/more')).toBe('again\n');
});

test('a fork bomb of files ends at the inodes', async () => {
  const said = await inHog(`
    mkdir /many; for w in a b c; do (i=0; while echo x >/many/$w$i; do i=$((i + 1)); done) & done; wait
    df --output=iavail / | tail -1`);
  expect(said).toContain(EXCEEDED);
  expect(said.trim().split('\n').at(-1)?.trim()).toBe('0');
  expect(await inHog('rm -r /many; mkdir /many && echo made')).toBe('made\n');
});

test('the limit is there after a restart, and goes when it is taken back', async () => {
  await r.root.ok('restart', 'hog');
  expect(await inHog('dd if=/dev/zero of=/fill bs=1M count=100')).toContain(EXCEEDED);
  expect(privateBytes(r.root, env)).toBe(LIMIT);
  expect(await r.root.ok('info', 'hog')).toMatch(/private: +16[.]0 MiB of 16MiB in/);
  await r.root.ok('set', 'hog', 'limits.disk=', 'limits.disk.inodes=');
  expect(await inHog('dd if=/dev/zero of=/fill bs=1M count=20')).not.toContain(EXCEEDED);
});

test('volumes take of it, too', async () => {
  await r.root.ok('stop', '--fast', 'hog');
  await r.root.ok('volume', 'add', 'hog', '/data');
  await r.root.ok('set', 'hog', 'limits.disk=64MiB');
  await r.root.ok('start', 'hog');
  await r.exec('hog', 'rm -f /fill; head -c 60M /dev/zero >/data/file; sync /data/file');
  // A volume is counted from time to time, and when the env is mounted.
  await r.root.ok('restart', 'hog');
  await expect
    .poll(() => inHog('df -B1 --output=avail / | tail -1').then(Number), { timeout: 30_000 })
    .toBeLessThan(4 * MIB);
  expect(await inHog('dd if=/dev/zero of=/fill bs=1M count=10')).toContain(EXCEEDED);
});
