/** A package is the unit: with a patch it moves whole, or stays whole. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let t: PackageRoot;
let env: PackageEnv;

/** Each version has a program that says it, a file of its own, one in all versions alike, and two names of one file. */
const hello = (version: string): DebDescription => ({
  name: 'hello',
  version,
  arch: 'all',
  files: {
    '/usr/bin/hello': `#!/bin/sh\necho hello ${version}\n`,
    '/usr/bin/hello-linked': { hardLink: '/usr/bin/hello' },
    '/usr/share/hello/same': 'the same\n',
    [`/usr/share/hello/only-${version}`]: `${version}\n`,
    [`/usr/share/hello-${version}/file`]: `${version}\n`,
    '/usr/share/hello/link': { symlink: `only-${version}` },
    '/etc/hello.conf': `version = ${version}\n`,
    ...(version === '4.0' ? { '/usr/bin/hello-best': '#!/bin/sh\necho best\n' } : {}),
  },
  conffiles: ['/etc/hello.conf'],
  scripts: {
    postinst: `update-alternatives --install /usr/bin/greeting greeting /usr/bin/hello 10
[ ! -e /usr/bin/hello-best ] || update-alternatives --install /usr/bin/greeting greeting /usr/bin/hello-best 20\necho ${version} >/var/lib/hello.made`,
    postrm: `: of ${version}`,
    prerm: '[ "$1" = upgrade ] || update-alternatives --remove greeting /usr/bin/hello',
  },
});

const other = (version: string): DebDescription => ({
  name: 'other',
  version,
  arch: 'all',
  files: { '/usr/bin/other': `#!/bin/sh\necho other ${version}\n` },
});

const VERSIONS = ['2.0', '3.0', '4.0'];

beforeAll(async () => {
  systems = await TinySystems.create();
});
beforeEach(async () => {
  const debs = VERSIONS.flatMap((version) => [hello(version), other(version)]);
  t = await PackageRoot.create(systems, debs, 'dpkg -i hello_2.0_all.deb other_2.0_all.deb');
  env = await t.env('e');
});
afterEach(() => t.dispose());
afterAll(() => systems.dispose());

const install = (version: string): string => `dpkg -i --force-confold hello_${version}_all.deb`;

/** All of the package is this version's, and nothing is of another. */
async function expectVersion(at: PackageEnv, version: string): Promise<void> {
  expect(await at.run(`dpkg-query -W -f '\${Version}\\n' hello`)).toBe(`${version}\n`);
  expect(await at.run('hello; hello-linked; cat /usr/share/hello/link')).toBe(
    `hello ${version}\nhello ${version}\n${version}\n`,
  );
  expect(await at.run('ls -d /usr/share/hello* /usr/share/hello/*')).toBe(
    ['', '/link', `/only-${version}`, '/same', `-${version}`]
      .map((name) => `/usr/share/hello${name}\n`)
      .sort()
      .join(''),
  );
  expect(await at.run('cat /etc/hello.conf')).toBe(`version = ${version}\n`);
  expect(
    await at.run('dpkg --verify hello; dpkg --audit; dpkg -L hello | xargs ls -d >/dev/null'),
  ).toBe('');
}

const keptIn = ({ envs }: PatchRecord) => envs[0]?.packages;

const privateFiles = (): string[] => readdirSync(path.join(t.root.path, 'envs/1/private'));

async function expectSound(): Promise<void> {
  expect(await t.root.findings()).toEqual([]);
}

const PLACES = [
  ['mounted', false],
  ['unmounted', true],
] as const;

const during = <T>(isUnmounted: boolean, work: () => Promise<T>): Promise<T> =>
  t.without('e', isUnmounted, work);

test.each(PLACES)('a %s env that upgraded itself follows again', async (_, isUnmounted) => {
  await env.run(install('3.0'));
  await expectVersion(env, '3.0');
  const record = await during(isUnmounted, () => t.patch(install('3.0')));
  expect(keptIn(record)).toEqual([]);
  await expectVersion(env, '3.0');
  await during(isUnmounted, () => t.patch(install('4.0')));
  await expectVersion(env, '4.0');
  await during(isUnmounted, () => t.rollback());
  await expectVersion(env, '3.0');
  await during(isUnmounted, () => t.rollback());
  await expectVersion(env, '2.0');
  await expectSound();
});

test.each(PLACES)('a version of a %s env’s own stays whole', async (_, isUnmounted) => {
  await env.run(install('3.0'));
  const record = await during(isUnmounted, () => t.patch(`${install('4.0')} other_4.0_all.deb`));
  expect(keptIn(record)).toEqual([{ name: 'hello', why: 'version', own: '3.0', template: '4.0' }]);
  await expectVersion(env, '3.0');
  expect(
    await env.run('greeting; update-alternatives --query greeting | grep -c Alternative:'),
  ).toBe('hello 3.0\n1\n');
  expect(await (await t.env('new')).run('greeting')).toBe('best\n');
  expect(await env.run('other')).toBe('other 4.0\n');
  await expectSound();
  const back = await during(isUnmounted, () => t.rollback());
  expect(keptIn(back)).toEqual([{ name: 'hello', why: 'version', own: '3.0', template: '2.0' }]);
  await expectVersion(env, '3.0');
  expect(await env.run('other')).toBe('other 2.0\n');
  // It goes to what the template will have.
  await env.run(install('2.0'));
  await expectVersion(env, '2.0');
  await during(isUnmounted, () => t.root.json('patch', 't', '--to', '2'));
  await expectVersion(env, '4.0');
  await expectSound();
});

test.each(PLACES)('what a %s env removed, stays removed', async (_, isUnmounted) => {
  await env.run('dpkg -r hello; dpkg -P other');
  const record = await during(isUnmounted, () => t.patch(`${install('4.0')} other_4.0_all.deb`));
  expect(keptIn(record)).toMatchObject([
    { name: 'hello', why: 'removed', own: null, template: '4.0' },
    { name: 'other', why: 'removed', own: null, template: '4.0' },
  ]);
  const gone =
    'ls /usr/share/hello /usr/bin/hello /usr/bin/other /var/lib/dpkg/info/other.list || :';
  expect(await env.run(gone)).toMatch(/^(ls: cannot access .*\n){4}$/);
  expect(await env.run('cat /etc/hello.conf; dpkg --verify')).toBe('version = 2.0\n');
  // What dpkg keeps of it for a purge is of the version that was removed.
  expect(await env.run('ls /var/lib/dpkg/info | grep ^hello')).toBe('hello.list\nhello.postrm\n');
  expect(await env.run('tail -n 1 /var/lib/dpkg/info/hello.postrm')).toBe(': of 2.0\n');
  expect(await env.run('ls /usr/share | grep hello || :')).toBe('');
  await expectSound();
  // It comes again.
  await env.run(`${install('4.0')} other_4.0_all.deb`);
  expect(await env.run('hello; other')).toBe('hello 4.0\nother 4.0\n');
  await during(isUnmounted, () => t.rollback());
  expect(await env.run('hello; other; dpkg --verify')).toBe('hello 2.0\nother 2.0\n');
});

test('files that are links to the old version stay, where a package becomes the env’s own', async () => {
  // Its 3.0 follows the template's, and so has no private file; then the env holds it.
  await env.run(install('3.0'));
  await t.patch(install('3.0'));
  await env.run('echo hello hold | dpkg --set-selections');
  const record = await t.patch(install('4.0'));
  expect(keptIn(record)).toEqual([{ name: 'hello', why: 'held', own: '3.0', template: '4.0' }]);
  await expectVersion(env, '3.0');
  await t.root.umount('e');
  await t.root.mount('e');
  await expectVersion(env, '3.0');
  await expectSound();
  await env.run('echo hello install | dpkg --set-selections');
  await t.rollback();
  await expectVersion(env, '3.0');
  await t.root.json('patch', 't', '--to', '3');
  await expectVersion(env, '4.0');
});

test('equal copies become links again, and their bytes are given back', async () => {
  await env.run(install('3.0'));
  const before = new Set(privateFiles());
  expect(before.size).toBeGreaterThan(10);
  await t.patch(install('3.0'));
  // What is left is what dpkg wrote beside the package: its log, backups and locks.
  const left = await t.root.json<{ path: string }[]>('diff', 'e');
  expect(left.map(({ path: at }) => at).filter((at) => /hello(?!.made)|status$/.test(at))).toEqual(
    [],
  );
});

test('a package is handed over to the template by a policy, whole', async () => {
  await env.run(`${install('3.0')}; echo changed >/usr/share/hello/same`);
  const record = await t.patch(install('4.0'), '--take-package', 'hello');
  expect(keptIn(record)).toEqual([]);
  await expectVersion(env, '4.0');
  expect(await env.run('cat /usr/share/hello/same')).toBe('the same\n');
  const saved = await t.root.json<{ path: string }[]>('saved', 'list', 'e');
  const paths = saved.map(({ path: at }) => at);
  expect(paths).toContain('/usr/share/hello/same');
  expect(paths).toContain('/usr/bin/hello');
  await expectSound();
  // It is the template's from then on.
  await t.rollback();
  await expectVersion(env, '2.0');
  const bad = await t.root.byref('patch', 't', '--take-package', 'hello=3.0');
  expect(bad).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('is no name of a package'),
  });
});

test('what envs have otherwise is listed, in plans, by info, history and stale --packages', async () => {
  await t.env('same');
  await env.run(install('3.0'));
  const own = { name: 'hello', why: 'version', own: '3.0', template: '4.0' };
  await t.machine.run(`cd /srv/debs; ${install('4.0')}`);
  await t.stage();
  const { stdout: plan } = await t.root.byref('patch', 't', '--check', '--json');
  const { envs } = JSON.parse(plan) as { envs: { name: string; packages: object[] }[] };
  expect(envs.map(({ name, packages }) => ({ name, packages }))).toEqual([
    { name: 'e', packages: [own] },
    { name: 'same', packages: [] },
  ]);
  const { stdout: summary } = await t.root.byref('patch', 't', '--check', '--summary');
  expect(summary).toContain('keeps hello 3.0 (template: 4.0)');
  expect(summary).not.toContain('/usr/bin/hello');
  const patched = await t.root.byref('patch', 't');
  expect(patched.stdout).toContain('e keeps hello 3.0 (template: 4.0)');
  expect((await t.root.byref('history')).code).toBe(0);
  const info = await t.root.json<{ packages: object[] }>('info', 'e');
  expect(info.packages).toEqual([
    { package: 'hello', own: '3.0', template: '4.0', why: 'version' },
  ]);
  const stale = () => t.root.json<object[]>('stale', '--packages');
  const mine = { env: 'e', package: 'hello', own: '3.0', template: '4.0', why: 'version' };
  expect(await stale()).toEqual([mine]);
  // A pinned env does not have what the others have; one that changed a program runs what it made of it.
  await t.root.ok('pin', 'same', 't@1');
  await env.run('echo "#!/bin/sh" >/usr/bin/other');
  expect(await stale()).toEqual([
    mine,
    { env: 'e', package: 'other', own: '2.0', template: '2.0', why: 'files' },
    { env: 'same', package: 'hello', own: '2.0', template: '4.0', why: 'behind' },
  ]);
  const { stdout: table } = await t.root.byref('stale', '--packages', 'e', '-H');
  expect(table.split('\n')[0]).toBe('e\thello\t3.0\t4.0\ta version of its own');
});

test('relink makes links of equal copies, without a patch', async () => {
  await env.run(
    `cp -a /srv/debs/hello_2.0_all.deb /srv/copy; mv /srv/copy /srv/debs/hello_2.0_all.deb`,
  );
  await env.run('dpkg -P hello; dpkg -i hello_2.0_all.deb; echo own >/usr/bin/other');
  const changed = async (): Promise<string[]> =>
    (await t.root.json<{ path: string }[]>('diff', 'e')).map(({ path: at }) => at);
  expect(await changed()).toContain('/usr/share/hello/same');
  const [relinked] = await t.root.json<{ names: number; left: number; freedBytes: number }[]>(
    'relink',
    'e',
  );
  expect(relinked!.names).toBeGreaterThan(8);
  expect(relinked!.left).toBe(0);
  expect(relinked!.freedBytes).toBeGreaterThan(8 * 4096);
  const left = await changed();
  expect(left.filter((at) => /hello(?!.made)/.test(at))).toEqual([]);
  expect(left).toContain('/usr/bin/other');
  await expectVersion(env, '2.0');
  expect(await env.run('cat /usr/bin/other')).toBe('own\n');
  await expectSound();
  expect((await t.root.byref('relink', '--all')).stdout).toBe('e: nothing to relink\n');
  await t.patch(install('4.0'));
  await expectVersion(env, '4.0');
});

test('an administrator’s configuration stays, and the package’s is put beside it', async () => {
  await env.run('echo "version = mine" >/etc/hello.conf');
  const before = await env.run('cat /etc/hello.conf');
  await t.patch(install('4.0'));
  expect(await env.run('cat /etc/hello.conf /etc/hello.conf.dpkg-dist')).toBe(
    `${before}version = 4.0\n`,
  );
  const plain = await t.plain();
  await plain.run(`echo "version = mine" >/etc/hello.conf; ${install('4.0')}`);
  const shown = `ls -l --time-style=+ /etc/hello*; dpkg --verify; dpkg-query -W -f '\${Conffiles}' hello`;
  expect(await env.run(shown)).toBe(await plain.run(shown));
});

test('what is hidden of a package stays so when the template has the same version anew', async () => {
  await t.patch(install('3.0'));
  await env.run(install('4.0'));
  await t.rollback();
  await expectVersion(env, '4.0');
  // Its 2.0 is unpacked again on the machine, which was at 3.0: other inodes, and the same record.
  await t.patch(`${install('2.0')}; dpkg -i other_3.0_all.deb`);
  await expectVersion(env, '4.0');
  expect(await env.run('other')).toBe('other 3.0\n');
  await expectSound();
});
