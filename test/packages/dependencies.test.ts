/** Packages of an env's own and those that a patch changes: apt-get check says in the env what it said before. */
import { mkdtempSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PatchedEnv, PatchRecord } from '../../src/codec/patch-record.ts';
import type { FsckResult } from '../../src/manager/upkeep/fsck/report.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { BYREF, sh } from '../support/machine/program.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let t: PackageRoot;
let env: PackageEnv;

const deb = (
  name: string,
  version: string,
  relations: Partial<DebDescription> = {},
): DebDescription => ({
  name,
  version,
  arch: 'all',
  files: {
    [`/usr/bin/${name}`]: `#!/bin/sh\necho ${name} ${version}\n`,
    [`/usr/share/${name}-${version}/in/it`]: `${version}\n`,
    [`/usr/share/${name}/of-${version}`]: `${version}\n`,
  },
  ...relations,
});

const VERSIONS = ['1', '2', '3'];

/** libx has a -dev package of the same version, a program that needs it at least as new, and a plugin that it breaks when that is older. */
const DEBS = VERSIONS.flatMap((version) => [
  deb('libx', version, {
    breaks: [`plug (<< ${version})`],
    provides: [`libx-abi-${version}`],
  }),
  deb('libx-dev', version, { depends: [`libx (= ${version})`] }),
  deb('app', version, { depends: [`libx (>= ${version})`] }),
  deb('plug', version),
  deb('user', version, { depends: [`libx-abi-${version}`] }),
  deb('other', version),
]);

beforeAll(async () => {
  systems = await TinySystems.create();
});
beforeEach(async () => {
  t = await PackageRoot.create(systems, DEBS, install('1', 'libx', 'app', 'other'));
  env = await t.env('e');
});
afterEach(() => t.dispose());
afterAll(() => systems.dispose());

const install = (version: string, ...names: string[]): string =>
  `dpkg -i ${names.map((name) => `${name}_${version}_all.deb`).join(' ')}`;

const CHECK = 'apt-get -q check 2>&1 | grep : || :';

/** What packages say of themselves, and dpkg of them, and apt of all. */
async function expectVersions(at: PackageEnv, versions: Readonly<Record<string, string>>) {
  for (const [name, version] of Object.entries(versions)) {
    expect(await at.run(`dpkg-query -W -f '\${Version}' ${name}`)).toBe(version);
    expect(await at.run(name)).toBe(`${name} ${version}\n`);
    expect(await at.run(`ls -d /usr/share/${name}-[0-9]* /usr/share/${name}/*`)).toBe(
      `/usr/share/${name}-${version}\n/usr/share/${name}/of-${version}\n`,
    );
  }
  expect(await at.run('dpkg --verify; dpkg --audit')).toBe('');
}

const inEnv = ({ envs }: PatchRecord): PatchedEnv => envs[0]!;
const keptIn = (record: PatchRecord) => inEnv(record).packages;

/** Also: what apt-get check says in an env was so before, or a patch said it. */
async function expectSound(): Promise<void> {
  const { findings } = await t.root.json<FsckResult>('fsck', '--full', '--packages');
  expect(findings).toEqual([]);
}

/** Stages what a script makes of the machine. */
async function stage(script: string): Promise<void> {
  await t.machine.run(`cd /srv/debs; ${script}`);
  await t.stage();
}

async function patch(...options: string[]): Promise<{ code: number; record: PatchRecord }> {
  const { code, stdout, stderr } = await t.root.byref('patch', 't', '--json', ...options);
  expect(stderr).toBe('');
  return { code, record: JSON.parse(stdout) as PatchRecord };
}

const PLACES = [
  ['mounted', false],
  ['unmounted', true],
] as const;

const during = <T>(isUnmounted: boolean, work: () => Promise<T>): Promise<T> =>
  t.without('e', isUnmounted, work);

const LIBX = { name: 'libx', why: 'needed', own: '1', template: '2', for: 'libx-dev 1' };

test.each(PLACES)(
  'what an own package of a %s env needs stays, and follows later',
  async (_, isUnmounted) => {
    await env.run(install('1', 'libx-dev'));
    await stage(install('2', 'libx', 'app', 'other'));
    const plan = await t.root.byref('patch', 't', '--check', '--json');
    const { code, record } = await during(isUnmounted, () => patch());
    const kept = [LIBX, { name: 'app', why: 'needed', own: '1', template: '2', for: 'libx 1' }];
    expect(keptIn(record)).toEqual(kept);
    expect(JSON.parse(plan.stdout)).toMatchObject({ envs: [{ packages: kept, unmet: [] }] });
    expect(code).toBe(11);
    await expectVersions(env, { libx: '1', 'libx-dev': '1', app: '1', other: '2' });
    expect(await env.run(CHECK)).toBe('');
    await expectSound();
    const stale = await t.root.json<object[]>('stale', '--packages');
    expect(stale).toEqual([
      { env: 'e', package: 'app', own: '1', template: '2', why: 'needed' },
      { env: 'e', package: 'libx', own: '1', template: '2', why: 'needed' },
    ]);
    // It is needed no more: the next patch takes it along, whatever that one is about.
    await env.run('dpkg -P libx-dev');
    await stage(install('3', 'other'));
    const next = await during(isUnmounted, () => patch());
    expect(keptIn(next.record)).toEqual([]);
    expect(next.code).toBe(0);
    await expectVersions(env, { libx: '2', app: '2', other: '3' });
    expect(await env.run(CHECK)).toBe('');
    expect(await t.root.json('stale', '--packages')).toEqual([]);
    await expectSound();
  },
);

test('an env that completed its packages by itself follows', async () => {
  await env.run(install('1', 'libx-dev'));
  await stage(install('2', 'libx', 'app'));
  await patch();
  await env.run(install('2', 'libx', 'libx-dev'));
  await stage(install('3', 'other'));
  const { record } = await patch();
  expect(keptIn(record)).toEqual([]);
  await expectVersions(env, { libx: '2', 'libx-dev': '2', app: '2', other: '3' });
  await expectSound();
});

test.each(PLACES)(
  'relink lets packages of a %s env follow that are needed no more',
  async (_, isUnmounted) => {
    await env.run(install('1', 'libx-dev'));
    await stage(install('2', 'libx', 'app'));
    await patch();
    const relink = () => during(isUnmounted, () => t.root.json<object[]>('relink', 'e'));
    expect(await relink()).toMatchObject([{ packages: [], left: 0 }]);
    await expectVersions(env, { libx: '1', 'libx-dev': '1', app: '1' });
    await env.run('dpkg -P libx-dev');
    expect(await relink()).toMatchObject([
      { packages: expect.arrayContaining(['libx', 'app']), left: 0 },
    ]);
    await expectVersions(env, { libx: '2', app: '2' });
    // Before apt opens its files again: a copy that it writes nothing to is there for a moment.
    expect(await relink()).toMatchObject([{ packages: [], names: 0 }]);
    expect(await env.run(CHECK)).toBe('');
    await expectSound();
  },
);

test('what is needed still stays at further patches and back', async () => {
  await env.run(install('1', 'libx-dev'));
  await stage(install('2', 'libx', 'app'));
  await patch();
  await stage(install('3', 'libx', 'app', 'other'));
  const { record } = await patch();
  expect(keptIn(record)).toMatchObject([{ ...LIBX, template: '3' }, { name: 'app' }]);
  await expectVersions(env, { libx: '1', app: '1', other: '3' });
  expect(await env.run(CHECK)).toBe('');
  await t.root.byref('rollback', 't');
  await expectVersions(env, { libx: '1', app: '1', other: '1' });
  await t.root.ok('rollback', 't');
  await expectVersions(env, { libx: '1', app: '1', other: '1' });
  expect(await env.run(CHECK)).toBe('');
  // As the template has it: it is no own package any more.
  expect(await t.root.json('stale', '--packages')).toEqual([]);
  await env.run('dpkg -P libx-dev');
  await t.root.json('patch', 't', '--to', '3');
  await expectVersions(env, { libx: '3', app: '3', other: '3' });
  await expectSound();
});

test.each(PLACES)(
  'a template’s program stays where a %s env holds what it needs',
  async (_, isUnmounted) => {
    await env.run('echo libx hold | dpkg --set-selections');
    await stage(install('2', 'libx', 'app', 'other'));
    const { code, record } = await during(isUnmounted, () => patch());
    expect(code).toBe(11);
    expect(keptIn(record)).toEqual([
      { name: 'libx', why: 'held', own: '1', template: '2' },
      { name: 'app', why: 'needed', own: '1', template: '2', for: 'libx 1' },
    ]);
    await expectVersions(env, { libx: '1', app: '1', other: '2' });
    expect(await env.run(CHECK)).toBe('');
    await expectSound();
    await env.run('echo libx install | dpkg --set-selections');
    await stage(install('3', 'other'));
    await during(isUnmounted, () => patch());
    await expectVersions(env, { libx: '2', app: '2', other: '3' });
    await expectSound();
  },
);

test('a rollback keeps what an own package needs at least', async () => {
  await stage(install('2', 'libx', 'other'));
  await patch();
  await env.run(install('2', 'app'));
  const back = await t.root.byref('rollback', 't', '--json');
  expect(back.code).toBe(11);
  expect(keptIn(JSON.parse(back.stdout) as PatchRecord)).toMatchObject([
    { name: 'libx', why: 'needed', own: '2', template: '1', for: 'app 2' },
  ]);
  await expectVersions(env, { libx: '2', app: '2', other: '1' });
  expect(await env.run(CHECK)).toBe('');
  await expectSound();
});

test('Breaks, and what a package provides, count', async () => {
  await env.run(install('1', 'plug', 'user'));
  await stage(`${install('2', 'libx')} && ${install('2', 'other')}`);
  const { record } = await patch();
  expect(keptIn(record)).toMatchObject([{ name: 'libx', why: 'needed', own: '1' }]);
  await env.run('dpkg -P plug');
  await stage(install('3', 'other'));
  expect(keptIn((await patch()).record)).toMatchObject([{ name: 'libx', for: 'user 1' }]);
  expect(await env.run(CHECK)).toBe('');
  await expectVersions(env, { libx: '1', user: '1', other: '3' });
  await expectSound();
});

test('what the template drops, and what it gets, depends on what the env has', async () => {
  // Needs what the template drops; breaks what it gets.
  await stage(install('1', 'plug'));
  await patch();
  await env.run(install('1', 'libx-dev'));
  await stage(`dpkg -P plug app libx; ${install('2', 'user', 'libx')}`);
  const { record } = await patch();
  expect(keptIn(record)).toMatchObject([
    { name: 'libx', own: '1', template: '2' },
    { name: 'user', why: 'needed', own: null, template: '2' },
  ]);
  expect(await env.run('ls /usr/bin/user /usr/bin/plug /usr/bin/app || :')).toMatch(
    /^(ls: cannot access .*\n){3}$/,
  );
  expect(await env.run(CHECK)).toBe('');
  await stage('dpkg -P user libx');
  expect(keptIn((await patch()).record)).toMatchObject([
    { name: 'libx', own: '1', template: null },
  ]);
  await expectVersions(env, { libx: '1', 'libx-dev': '1' });
  await env.run('dpkg -P libx-dev');
  await stage(install('3', 'other', 'plug'));
  expect(keptIn((await patch()).record)).toEqual([]);
  expect(await env.run('dpkg-query -W libx user 2>&1 || :; find /usr/share/libx* || :')).toMatch(
    /no packages found matching libx\n.*no packages found matching user\nfind: .* No such file or directory\n$/,
  );
  await expectVersions(env, { other: '3', plug: '3' });
  await expectSound();
});

test('what was broken before is nobody’s doing', async () => {
  await env.run('dpkg -i --force-depends libx-dev_3_all.deb');
  const before = await env.run(CHECK);
  expect(before).toContain('libx (= 3) but 1 is installed');
  await stage(install('2', 'libx', 'app'));
  const { code, record } = await patch();
  expect(code).toBe(0);
  expect(inEnv(record)).toMatchObject({ packages: [], unmet: [] });
  await expectVersions(env, { libx: '2', app: '2' });
});

test('a policy lets packages follow, for all or for one env', async () => {
  const two = await t.env('two');
  for (const each of [env, two]) await each.run(install('1', 'libx-dev'));
  await stage(install('2', 'libx', 'app'));
  const unmet = ['libx-dev : Depends: libx (= 1) but 2 is installed'];
  const { code, record } = await patch('--dependencies', 'follow', '--dependencies', 'two=keep');
  expect(code).toBe(11);
  expect(record.envs).toMatchObject([
    { name: 'e', packages: [], unmet },
    { name: 'two', packages: [{ name: 'libx' }, { name: 'app' }], unmet: [] },
  ]);
  await expectVersions(env, { libx: '2', 'libx-dev': '1', app: '2' });
  await expectVersions(two, { libx: '1', 'libx-dev': '1', app: '1' });
  const { stdout } = await t.root.byref('history', '--show', String(record.id));
  expect(stdout).toContain(unmet[0]);
  const bad = await t.root.byref('patch', 't', '--dependencies', 'all');
  expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining('is no policy') });
  const nobody = await t.root.byref('patch', 't', '--dependencies', 'three=keep');
  expect(nobody.code).toBe(3);
});

test('pin and follow look at dependencies, too', async () => {
  await stage(install('2', 'libx', 'app', 'other'));
  await patch();
  await env.run(install('2', 'libx-dev'));
  const pinned = await t.root.byref('pin', 'e', 't@1');
  expect(pinned.code).toBe(11);
  expect(pinned.stdout).toContain('e keeps libx 2 (for libx-dev 2; template: 1)');
  await expectVersions(env, { libx: '2', 'libx-dev': '2', other: '1' });
  await t.root.ok('follow', 'e', 't');
  await expectVersions(env, { libx: '2', 'libx-dev': '2', app: '2', other: '2' });
  await expectSound();
});

/** The repository that envs know gets packages, for this test. */
const published = (...debs: DebDescription[]): Promise<void> =>
  systems.during(
    () => systems.repo.add(...debs),
    () => {
      for (const { name, version } of debs) systems.repo.remove(name, version);
    },
  );

test('apt brings an env’s own packages along where it can, and back at a rollback', async () => {
  await env.run(`${install('1', 'libx-dev', 'plug')}; echo own >/etc/own.conf`);
  const [two, away, kept] = [await t.env('two'), await t.env('away'), await t.env('kept')];
  await two.run(install('1', 'user'));
  for (const each of [away, kept]) await each.run(install('1', 'libx-dev'));
  await t.root.umount('away');
  await published(
    deb('libx-dev', '1', { depends: ['libx (= 1)'] }),
    deb('libx-dev', '2', { depends: ['libx (= 2)', 'libx-doc'] }),
    deb('libx-doc', '2'),
    deb('plug', '1'),
    deb('plug', '2'),
  );
  await stage(install('2', 'libx', 'app', 'other'));
  const policy = ['--dependencies', 'kept=keep'];
  const plan = await t.root.byref('patch', 't', '--check', '--json', ...policy);
  expect(JSON.parse(plan.stdout)).toMatchObject({
    envs: [{ completes: true }, { completes: true }, { completes: true }, { completes: false }],
  });
  const { code, record } = await patch(...policy);
  expect(code).toBe(11);
  expect(record.envs).toMatchObject([
    {
      name: 'e',
      packages: [],
      unmet: [],
      completion: {
        packages: expect.arrayContaining(['libx-dev 1 -> 2', 'libx-doc 2']),
        done: true,
      },
    },
    {
      name: 'two',
      packages: [{ name: 'libx', why: 'needed', for: 'user 1' }, { name: 'app' }],
      unmet: [],
      completion: { packages: [], why: expect.stringContaining('E: '), done: true },
    },
    {
      name: 'away',
      packages: [{ name: 'libx', for: 'libx-dev 1' }, { name: 'app' }],
      completion: { why: 'it is not mounted' },
    },
    { name: 'kept', packages: [{ name: 'libx', for: 'libx-dev 1' }, { name: 'app' }] },
  ]);
  expect(record.envs[3]!.completion).toBeUndefined();
  await expectVersions(env, { libx: '2', 'libx-dev': '2', plug: '2', app: '2', 'libx-doc': '2' });
  await expectVersions(two, { libx: '1', user: '1', app: '1', other: '2' });
  await expectVersions(kept, { libx: '1', 'libx-dev': '1', app: '1', other: '2' });
  for (const each of [env, two]) expect(await each.run(CHECK)).toBe('');
  expect(await env.run('ls /tmp /usr/sbin/policy-rc.d 2>&1 || :')).not.toMatch(/byref|d$/);
  const { stdout } = await t.root.byref('history', '--show', String(record.id));
  expect(stdout).toContain('e: apt brought its own packages along: ');
  expect(stdout).toContain('away: apt could not bring its own packages along: it is not mounted');
  await expectSound();
  const back = await t.root.byref('rollback', 't', '--json');
  expect(back.code).toBe(0);
  expect(inEnv(JSON.parse(back.stdout) as PatchRecord)).toMatchObject({
    packages: [],
    completion: { packages: expect.arrayContaining(['libx-dev 2 -> 1', 'plug 2 -> 1']) },
  });
  for (const each of [env, kept])
    await expectVersions(each, { libx: '1', 'libx-dev': '1', app: '1', other: '1' });
  await expectVersions(env, { plug: '1', 'libx-doc': '2' });
  expect(await env.run(CHECK)).toBe('');
  await expectSound();
});

test('what apt brought along for a canary goes back with it', async () => {
  await env.run(install('1', 'libx-dev'));
  await published(...['1', '2'].map((v) => deb('libx-dev', v, { depends: [`libx (= ${v})`] })));
  await stage(install('2', 'libx', 'app'));
  const health = ['--canary', 'e', '--health', 'false'];
  await t.root.byref('patch', 't', ...health);
  await expectVersions(env, { libx: '1', 'libx-dev': '1', app: '1' });
  await t.root.ok('patch', 't', '--canary', 'e');
  await expectVersions(env, { libx: '2', 'libx-dev': '2', app: '2' });
  const { record } = await patch();
  expect(inEnv(record)).toMatchObject({ completion: { packages: ['libx-dev 1 -> 2'] } });
  await t.root.ok('rollback', 't');
  await expectVersions(env, { libx: '1', 'libx-dev': '1', app: '1' });
  await expectSound();
});

test('no env waits for apt in another', async () => {
  await env.run(install('1', 'libx-dev'));
  const wait = 'touch /begun; while [ ! -e /go ]; do sleep 0.05; done';
  await env.run(`echo 'APT::Update::Pre-Invoke {"${wait}"; };' >/etc/apt/apt.conf.d/99wait`);
  const other = await t.env('other');
  await published(deb('libx-dev', '2', { depends: ['libx (= 2)'] }));
  await stage(install('2', 'libx', 'app'));
  const patched = patch();
  await env.run('while [ ! -e /begun ]; do sleep 0.05; done');
  await expectVersions(other, { libx: '2', app: '2' });
  await expectVersions(env, { libx: '1', 'libx-dev': '1', app: '1' });
  expect(await env.run(CHECK)).toBe('');
  await env.run('touch /go');
  expect((await patched).code).toBe(0);
  await expectVersions(env, { libx: '2', 'libx-dev': '2', app: '2' });
});

test('an app that is taken out leaves what the env’s own packages need', async () => {
  await published(deb('libx', '3'));
  await stage('dpkg -P app libx');
  await patch();
  await env.run('apt-get update');
  await t.app('libx');
  await t.root.ok('app', 'add', 'e', 'libx');
  await expectVersions(env, { libx: '3' });
  await env.run(install('3', 'libx-dev'));
  const { code, stdout } = await t.root.byref(
    'app',
    'remove',
    'e',
    'libx',
    '--dependencies',
    'keep',
  );
  expect(code).toBe(11);
  expect(stdout).toContain('e keeps libx 3 (for libx-dev 3; template: none)');
  await expectVersions(env, { libx: '3', 'libx-dev': '3' });
  expect(await env.run(CHECK)).toBe('');
  await expectSound();
});

test('a machine without apt says so, and packages follow', async () => {
  await env.run(install('1', 'libx-dev'));
  await stage(install('2', 'libx', 'app'));
  const bin = mkdtempSync(path.join(t.root.base, 'bin-'));
  const tools = [
    'node',
    'sh',
    'bash',
    'diff3',
    'unshare',
    'setpriv',
    'env',
    'dirname',
    'readlink',
    'realpath',
  ];
  for (const tool of tools) {
    const { stdout } = await sh('command -v "$1" || :', [tool]);
    if (stdout !== '') symlinkSync(stdout.trim(), path.join(bin, tool));
  }
  const inBin = { env: { ...t.root.env, PATH: bin } };
  const { code, stdout } = await sh('"$1" patch t', [BYREF], inBin);
  expect({ code, stdout }).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /e: its dependencies were not checked: this machine has no apt-get/,
    ),
  });
  await expectVersions(env, { libx: '2', app: '2' });
});

test('an env in which dpkg is at work, and a canary, keep what their own packages need, too', async () => {
  await env.run(install('1', 'libx-dev'));
  const late = await t.env('late');
  await late.run(install('1', 'libx-dev'));
  await stage(install('2', 'libx', 'app', 'other'));
  const canary = await patch('--canary', 'e');
  expect(keptIn(canary.record)).toMatchObject([{ name: 'libx' }, { name: 'app' }]);
  await expectVersions(env, { libx: '1', app: '1', other: '2' });
  const back = await t.root.byref('rollback', 't', '--json');
  expect(JSON.parse(back.stdout)).toMatchObject({ state: 'undone', envs: [{ packages: [] }] });
  await expectVersions(env, { libx: '1', app: '1', other: '1' });
  await patch('--canary', 'e');
  const done = late.run(
    'exec 9<>/var/lib/dpkg/lock; touch /begun; while [ ! -e /go ]; do sleep 0.05; done',
  );
  await env.run('dpkg -P libx-dev');
  await late.run('while [ ! -e /begun ]; do sleep 0.05; done');
  const { code, record } = await patch('--dpkg-wait', '0');
  expect(code).toBe(6);
  expect(record.envs).toMatchObject([{ name: 'e', packages: [] }, { outcome: 'busy' }]);
  await expectVersions(env, { libx: '2', app: '2', other: '2' });
  await late.run('touch /go');
  await done;
  await t.root.ok('gc');
  await expectVersions(late, { libx: '1', 'libx-dev': '1', app: '1', other: '2' });
  const [last] = await t.root.json<PatchRecord[]>('history', 't');
  expect(last!.envs).toMatchObject([
    { name: 'e' },
    { packages: [{ name: 'libx' }, { name: 'app' }] },
  ]);
  for (const each of [env, late]) expect(await each.run(CHECK)).toBe('');
  await expectSound();
});

/** More failpoints than a patch comes by. */
const FAILPOINTS_MAX = 40;

test('however a patch is cut short, packages fit together', async () => {
  await env.run(install('1', 'libx-dev'));
  await published(deb('libx-dev', '2', { depends: ['libx (= 2)'] }));
  await stage(install('2', 'libx', 'app'));
  const versions = new Set<string>();
  for (let point = 1; ; point += KILL_STEP) {
    expect(point).toBeLessThan(FAILPOINTS_MAX);
    const words = ['patch', 't', '--to', '2'];
    const { code } = await runKilledAt(t.root, `patch-*:${point}`, words);
    await t.root.ok('gc');
    expect(await env.run(CHECK), `after ${point}`).toBe('');
    expect(await env.run('dpkg --verify'), `after ${point}`).toBe('');
    const version = await env.run(`libx; app; libx-dev`);
    expect(version).toMatch(/^libx (.)\napp \1\nlibx-dev \1\n$/);
    versions.add(version);
    if (code === 0) break;
    // Back to where it was.
    await env.run('apt-get -q --yes purge libx-dev');
    await t.root.byref('rollback', 't');
    await env.run(install('1', 'libx-dev'));
  }
  expect(versions.size).toBe(2);
  await expectSound();
}, 300_000);
