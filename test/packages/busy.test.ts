/** While dpkg is at work in an env, the env stays as it is; then it follows. */
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let t: PackageRoot;
let env: PackageEnv;

const hello = (version: string): DebDescription => ({
  name: 'hello',
  version,
  arch: 'all',
  files: {
    '/usr/bin/hello': `#!/bin/sh\necho hello ${version}\n`,
    [`/usr/share/hello/only-${version}`]: `${version}\n`,
  },
});

/** dpkg waits in the middle of its installation until there is a file /go. */
const slow: DebDescription = {
  name: 'slow',
  version: '1.0',
  arch: 'all',
  files: { '/usr/bin/slow': '#!/bin/sh\n' },
  scripts: { postinst: 'touch /begun; while [ ! -e /go ]; do sleep 0.05; done' },
};

beforeAll(async () => {
  systems = await TinySystems.create();
});
beforeEach(async () => {
  const debs = [hello('1.0'), hello('2.0'), slow];
  t = await PackageRoot.create(systems, debs, 'dpkg -i hello_1.0_all.deb');
  env = await t.env('e');
  await t.env('free');
});
afterEach(() => t.dispose());
afterAll(() => systems.dispose());

const UPGRADE = 'dpkg -i hello_2.0_all.deb';
const SHOW = `hello; dpkg-query -W -f '\${Version}\\n' hello; ls /usr/share/hello; dpkg --verify`;
const shows = (version: string): string => `hello ${version}\n${version}\nonly-${version}\n`;

/** Begins an installation. Returns what waits for its end. */
async function begin(): Promise<() => Promise<string>> {
  const done = env.run('dpkg -i slow_1.0_all.deb');
  // It may fail long before anybody waits for it.
  done.catch(() => undefined);
  await env.run('while [ ! -e /begun ]; do sleep 0.05; done');
  return () => done;
}

const outcomes = ({ envs }: PatchRecord): string[] =>
  envs.map(({ name, outcome }) => `${name} ${outcome}`).sort();

/** Runs the patch, whose exit code says that it is not through. */
async function patchBusy(...options: string[]): Promise<PatchRecord> {
  const { code, stdout, stderr } = await t.root.byref('patch', 't', '--json', ...options);
  expect(code, stderr).toBe(6);
  return JSON.parse(stdout) as PatchRecord;
}

test('an env in which dpkg is at work stays as it is, and the next command takes it along', async () => {
  const ended = await begin();
  await t.machine.run(`cd /srv/debs; ${UPGRADE}`);
  await t.stage();
  const record = await patchBusy('--dpkg-wait', '0');
  expect(record.state).toBe('acting');
  expect(outcomes(record)).toEqual(['e busy', 'free flipped']);
  expect(await env.run(SHOW)).toBe(shows('1.0'));
  expect(await t.at('free').run(SHOW)).toBe(shows('2.0'));
  expect(await t.root.findings()).toEqual([]);
  const { stdout } = await t.root.byref('stale', '--packages', '-H');
  expect(stdout).toContain('e\thello\t1.0\t2.0\tthe env does not see the current version');
  await env.run('touch /go');
  await ended();
  expect(await env.run(SHOW)).toBe(shows('1.0'));
  expect((await t.root.byref('patch', 't')).code).toBe(0);
  expect(await env.run(SHOW)).toBe(shows('2.0'));
  expect(await env.run(`dpkg-query -W -f '\${Status}' slow`)).toBe('install ok installed');
  const [last] = await t.root.json<PatchRecord[]>('history');
  expect(last).toMatchObject({ state: 'done' });
  expect(await t.root.findings()).toEqual([]);
});

test('a patch waits for dpkg, and says for which env', async () => {
  const ended = await begin();
  await t.machine.run(`cd /srv/debs; ${UPGRADE}`);
  await t.stage();
  const patched = t.root.byref('patch', 't', '--dpkg-wait', '10m');
  // The others do not wait.
  await t.at('free').run('until hello | grep -q 2.0; do sleep 0.05; done');
  expect(await env.run(SHOW)).toBe(shows('1.0'));
  await env.run('touch /go');
  await ended();
  const { code, stderr } = await patched;
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('dpkg or apt is at work in e: waiting up to 600 s');
  expect(await env.run(SHOW)).toBe(shows('2.0'));
  // And on the way back.
  await env.run('rm /begun /go; dpkg -P slow');
  const again = await begin();
  const back = await t.root.byref('rollback', 't', '--dpkg-wait', '0', '--json');
  expect(back.code).toBe(6);
  expect(await env.run(SHOW)).toBe(shows('2.0'));
  await env.run('touch /go');
  await again();
  await t.root.ok('gc');
  expect(await env.run(SHOW)).toBe(shows('1.0'));
});

test('one env is not pinned, and gets no app, while dpkg is at work in it', async () => {
  const ended = await begin();
  await t.machine.run(`cd /srv/debs; ${UPGRADE}`);
  await t.stage();
  const pinned = await t.root.byref('pin', 'e', 't@2', '--dpkg-wait', '0');
  expect(pinned.code).toBe(6);
  expect(pinned.stderr).toContain('dpkg or apt is at work in e: nothing was changed');
  expect(await env.run(SHOW)).toBe(shows('1.0'));
  await env.run('touch /go');
  await ended();
  await t.root.ok('pin', 'e', 't@2');
  expect(await env.run(SHOW)).toBe(shows('2.0'));
});

test('an unmounted driver’s env that was busy goes along when it is mounted anew', async () => {
  const ended = await begin();
  await t.machine.run(`cd /srv/debs; ${UPGRADE}`);
  await t.stage();
  await patchBusy('--dpkg-wait', '0');
  await env.run('touch /go');
  await ended();
  await t.root.umount('e');
  await t.root.mount('e');
  await t.root.ok('gc');
  expect(await env.run(SHOW)).toBe(shows('2.0'));
  expect(path.basename(env.mountpoint)).toBe('e');
});
