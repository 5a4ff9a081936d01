/** What an env's administrator told dpkg of single paths holds for what a patch brings: as on a plain system, where dpkg brings it. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let t: PackageRoot;
let env: PackageEnv;
/** Given the same commands, and for each patch that by which the template got there. */
let plain: PackageEnv;

const CONFFILES = ['', '.too', '.gone'].map((end) => `/etc/tool/tool.conf${end}`);

const tool = (version: string): DebDescription => ({
  name: 'tool',
  version,
  arch: 'all',
  files: {
    '/usr/bin/tool': `#!/bin/sh\necho tool ${version}\n`,
    '/usr/bin/tool-linked': { hardLink: '/usr/bin/tool' },
    '/usr/bin/helper': `#!/bin/sh\necho helper ${version}\n`,
    '/usr/share/tool/link': { symlink: `only-${version}` },
    [`/usr/share/tool/only-${version}`]: version,
    '/usr/share/tool/same': 'same\n',
    ...Object.fromEntries(CONFFILES.map((path) => [path, `tool ${version}\n`])),
    '/usr/share/tool/doc/README': `${version}\n`,
    [`/usr/share/tool/doc-${version}/changes`]: `${version}\n`,
    [`/usr/share/tool/doc-${version}/copyright`]: `${version}\n`,
    ...(version === '1.0' ? { '/usr/share/tool/early': 'early\n' } : {}),
    ...(version === '2.0' ? { '/usr/bin/late': `#!/bin/sh\necho late ${version}\n` } : {}),
    ...(version === '2.0' ? { '/usr/share/tool/late.d/file': 'late\n' } : {}),
  },
  conffiles: CONFFILES,
});

/** A package that puts its own program in the place of tool's. */
const wrapper: DebDescription = {
  name: 'wrapper',
  version: '1.0',
  arch: 'all',
  files: { '/usr/bin/tool': '#!/bin/sh\necho wrapped\ntool.real\n' },
  scripts: {
    preinst:
      'dpkg-divert --package wrapper --add --rename --divert /usr/bin/tool.real /usr/bin/tool',
    postrm:
      'dpkg-divert --package wrapper --remove --rename --divert /usr/bin/tool.real /usr/bin/tool',
  },
};

const install = (version: string): string => `dpkg -i --force-confold tool_${version}_all.deb`;

beforeAll(async () => {
  systems = await TinySystems.create();
});
beforeEach(async () => {
  const debs = [...['1.0', '2.0', '3.0'].map(tool), wrapper];
  t = await PackageRoot.create(systems, debs, install('1.0'));
  env = await t.env('e');
  plain = await t.plain();
});
afterEach(() => t.dispose());
afterAll(() => systems.dispose());

let turns = 0;
beforeEach(() => {
  turns = 0;
});

/** Every other move of the env is made while it is not mounted. */
const during = <T>(work: () => Promise<T>): Promise<T> => t.without('e', turns++ % 2 === 1, work);

const both = (script: string) => Promise.all([env.run(script), plain.run(script)]);

async function expectSame(): Promise<void> {
  expect(await env.truth()).toBe(await plain.truth());
  for (const directory of ['/usr/bin', '/usr/share'])
    expect(await env.tree(directory)).toBe(await plain.tree(directory));
  expect(await t.root.findings()).toEqual([]);
}

/** The template goes through all versions, forwards and back. */
async function throughVersions(): Promise<void> {
  const go = async (version: string, move: () => Promise<unknown>): Promise<void> => {
    await during(move);
    await plain.run(install(version));
    await expectSame();
  };
  await go('2.0', () => t.patch(install('2.0')));
  await go('3.0', () => t.patch(install('3.0')));
  await go('2.0', () => t.rollback());
  await go('1.0', () => t.rollback());
}

test('in an env a diverted file goes where it is diverted to', async () => {
  await both(`dpkg-divert --add --rename --divert /usr/bin/tool.mine /usr/bin/tool
printf '#!/bin/sh\\necho mine\\n' >/usr/bin/tool; chmod 755 /usr/bin/tool
dpkg-divert --add --rename /usr/share/tool/same
dpkg-divert --add --rename /usr/share/tool/early
dpkg-divert --add --rename /usr/share/tool/link
dpkg-divert --add --rename /usr/bin/late
dpkg-divert --add --no-rename /usr/bin/helper`);
  await throughVersions();
  expect(await env.run('tool; tool.mine; tool-linked')).toBe('mine\ntool 1.0\ntool 1.0\n');
  // What comes back to its place is the template's again.
  await both('rm /usr/bin/tool; dpkg-divert --remove --rename /usr/bin/tool');
  await both('dpkg-divert --remove --rename /usr/bin/late');
  await both('dpkg-divert --remove --rename /usr/share/tool/link');
  await during(() => t.root.json('patch', 't', '--to', '2'));
  await plain.run(install('2.0'));
  await expectSame();
});

test('a package of an env’s own diverts a file of the template’s', async () => {
  await both('dpkg -i wrapper_1.0_all.deb');
  expect(await env.run('tool')).toBe('wrapped\ntool 1.0\n');
  await throughVersions();
  await during(() => t.root.json('patch', 't', '--to', '3'));
  await plain.run(install('3.0'));
  expect(await env.run('tool')).toBe('wrapped\ntool 3.0\n');
  await both('dpkg -P wrapper');
  await expectSame();
  await during(() => t.rollback());
  await plain.run(install('1.0'));
  await expectSame();
});

test('what somebody made of a diverted file stays, and dpkg names it', async () => {
  await both(`dpkg-divert --add --rename /usr/bin/tool; echo own >/usr/bin/tool.distrib`);
  await t.patch(install('2.0'));
  expect(await env.run('cat /usr/bin/tool.distrib')).toBe('own\n');
  expect(await env.run('dpkg --verify tool')).toContain('/usr/bin/tool');
});

test('of a diverted configuration file that somebody changed, the package’s comes beside it', async () => {
  const conf = '/etc/tool/tool.conf';
  const shown = async (of: PackageEnv): Promise<string> => of.tree('/etc/tool');
  await both(`dpkg-divert --add --rename ${conf}; dpkg-divert --add --rename ${conf}.too
dpkg-divert --add --rename ${conf}.gone; rm ${conf}.gone.distrib
echo mine >>${conf}.distrib; echo instead >${conf}`);
  const go = async (version: string, move: () => Promise<unknown>): Promise<void> => {
    await during(move);
    await plain.run(install(version));
    await expectSame();
    expect(await shown(env)).toBe(await shown(plain));
  };
  await go('2.0', () => t.patch(install('2.0')));
  expect(await env.run(`cat ${conf} ${conf}.distrib ${conf}.too.distrib`)).toBe(
    'instead\ntool 1.0\nmine\ntool 2.0\n',
  );
  expect(await env.run(`cat ${conf}.distrib.dpkg-dist`)).toBe('tool 2.0\n');
  await go('3.0', () => t.patch(install('3.0')));
  await go('2.0', () => t.rollback());
});

test('what is new in an env has the owner and mode of its override', async () => {
  await both(`echo games:x:60: >>/etc/group
dpkg-statoverride --add root games 2750 /usr/bin/late
dpkg-statoverride --add '#33' '#34' 700 /usr/share/tool/late.d
dpkg-statoverride --add '#33' root 600 /usr/share/tool/only-2.0
dpkg-divert --add --rename /usr/bin/helper
dpkg-statoverride --add '#33' root 4711 /usr/bin/helper
dpkg-statoverride --add root games 640 /usr/share/tool/link`);
  await throughVersions();
});

test('a file of an env keeps the attributes of its override', async () => {
  await both(`echo games:x:60: >>/etc/group
dpkg-statoverride --update --add root games 2755 /usr/bin/helper
dpkg-statoverride --add root games 710 /usr/share/tool/doc/README
dpkg-statoverride --update --add root games 600 /usr/share/tool/same
dpkg-statoverride --update --add root games 600 /usr/share/tool/early`);
  await throughVersions();
});

test('what dpkg in an env would not unpack does not appear', async () => {
  await both(`printf '%s\\n' '# as in containers' 'path-exclude=/usr/share/tool/doc*' 'path-include=/usr/share/tool/doc*/copy*' \\
'path-exclude /usr/share/tool/late.d/*' 'path-exclude=/usr/bin/late' >/etc/dpkg/dpkg.cfg.d/docs
echo 'path-exclude=/usr/share/tool/[r-t]*' >/etc/dpkg/dpkg.cfg.d/not-read.conf`);
  await throughVersions();
  await both('rm /etc/dpkg/dpkg.cfg.d/docs');
  await throughVersions();
});

const hold = 'echo tool hold | dpkg --set-selections';
const unhold = 'echo tool install | dpkg --set-selections';

test('a held package of an env stays whole, until the hold is lifted', async () => {
  await both(`${hold}; dpkg-divert --add --rename /usr/bin/helper`);
  await both(`echo games:x:60: >>/etc/group
dpkg-statoverride --update --add root games 640 /usr/share/tool/same
dpkg-statoverride --add root games 750 /usr/bin/late`);
  const record = await during(() => t.patch(install('2.0')));
  const held = { name: 'tool', why: 'held', own: '1.0', template: '2.0' };
  expect(record.envs[0]?.packages).toEqual([held]);
  await expectSame();
  // Another one, which changes files that this one did not.
  await during(() => t.patch(install('3.0')));
  await expectSame();
  await both(unhold);
  await expectSame();
  await during(() => t.rollback());
  await plain.run(install('2.0'));
  await expectSame();
  await during(() => t.rollback());
  await plain.run(install('1.0'));
  await expectSame();
  // Held again, and lifted after a patch that does not concern it.
  await both(hold);
  await during(() => t.root.json('patch', 't', '--to', '2'));
  await expectSame();
  await both(unhold);
  const withWrapper = `${install('2.0')} wrapper_1.0_all.deb`;
  await during(() => t.patch(withWrapper));
  await plain.run(withWrapper);
  await expectSame();
});

test('plans and stale --packages name held packages', async () => {
  await env.run(hold);
  await t.machine.run(`cd /srv/debs; ${install('2.0')}`);
  await t.stage();
  const { stdout: plan } = await t.root.byref('patch', 't', '--check');
  expect(plan).toContain('keeps tool 1.0 (held; template: 2.0)');
  await t.root.ok('patch', 't');
  const { stdout: stale } = await t.root.byref('stale', '--packages', '-H');
  expect(stale).toBe('e\ttool\t1.0\t2.0\theld by the env\n');
  await env.run(unhold);
  const { stdout: lifted } = await t.root.byref('stale', '--packages', '-H');
  expect(lifted).toBe(
    'e\ttool\t1.0\t2.0\tkept by an earlier patch: the next one looks at it again\n',
  );
  // At once, without a patch.
  await t.root.ok('relink', 'e');
  expect((await t.root.byref('stale', '--packages', '-H')).stdout).toBe('');
  await plain.run(install('2.0'));
  await expectSame();
});

test('a plan says what will not be as dpkg would make it, and why', async () => {
  await env.run(`dpkg-statoverride --update --add root '#60' 750 /usr/bin/helper
dpkg-statoverride --remove /usr/bin/helper
dpkg-statoverride --update --add root root 700 /usr/bin/tool
dpkg-divert --add --no-rename /usr/bin/tool-linked
rm /usr/share/tool/doc/README`);
  await t.machine.run(`cd /srv/debs; ${install('2.0')}`);
  await t.stage();
  const plan = await t.root.byref('patch', 't', '--check');
  const said = plan.stdout.split('\n').filter((line) => line.startsWith('  unlike dpkg: '));
  expect(said.map((line) => line.slice('  unlike dpkg: '.length).split(': ', 1)[0])).toEqual([
    '/usr/bin/helper',
    '/usr/share/tool/doc/README',
    '/usr/bin/tool',
    '/usr/bin/tool-linked',
  ]);
  expect(said.join('\n')).toMatch(
    /helper: the mode, owner or group .*README: the env has removed it.*tool: its override .*tool-linked: the new version comes here, too/s,
  );
  await t.root.ok('patch', 't');
  expect(
    await env.run(
      'stat -c %a:%g /usr/bin/helper /usr/bin/tool /usr/bin/tool-linked; ls /usr/share/tool/doc',
    ),
  ).toBe('750:60\n700:0\n700:0\n');
});
