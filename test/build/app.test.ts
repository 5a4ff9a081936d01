import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { greeter, statefulApp } from '../../fixtures/apt/packages.ts';
import { aclFromText } from '../../src/manager/templates/tar/acl.ts';
import { builtFile, native } from '../../src/native/binding.ts';
import { sh } from '../support/machine/program.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

const ACCESS_ACL = 'system.posix_acl_access';
/** Of the group 4, whose name is "adm" on every Debian: so tar's --acls would call it. */
const ADM_READS = aclFromText('user::rwx,group::r-x,group:4:r-x,mask::r-x,other::---', () => 0);
const GIVE_ACL = `
const native = require(process.argv[2]);
const value = Buffer.from('${ADM_READS.toString('hex')}', 'hex');
process.exitCode = -native.setXattr(process.argv[3] + '/var/log/journal', '${ACCESS_ACL}', value, value.length);
`;

let systems: TinySystems;
let apps: TinyApps;

beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  apps = await TinyApps.create(systems);
});
afterEach(async () => {
  await apps.expectNothingLeft();
  await apps.dispose();
});

/** Packages that are in the repository for one test. */
const publish = (...packages: readonly DebDescription[]): Promise<void> =>
  systems.during(
    () => systems.repo.add(...packages),
    () => {
      for (const { name, version } of packages) systems.repo.remove(name, version);
    },
  );

test('an app has what apt added or changed, and no more', async () => {
  const { version, packages } = await apps.build('greet', ['greeter']);
  expect(version).toMatchObject({ number: 1, note: '', staged: false, base: { version: 1 } });
  expect(packages.map(({ name, is }) => `${name} ${is}`)).toEqual([
    'greeter 1.0',
    'greeter-data 1.0',
  ]);
  const files = (await apps.members('greet')).filter((member) => !member.endsWith('/'));
  const logs = files.filter((file) => file.startsWith('./var/log/'));
  expect(files.filter((file) => !logs.includes(file))).toEqual([
    './usr/bin/greet',
    './usr/share/doc/greeter/changelog',
    './usr/share/greeter/words',
    './var/lib/apt/extended_states',
    './var/lib/dpkg/info/greeter-data.list',
    './var/lib/dpkg/info/greeter-data.md5sums',
    './var/lib/dpkg/info/greeter.list',
    './var/lib/dpkg/info/greeter.md5sums',
    './var/lib/dpkg/status',
  ]);
  expect(await apps.tar('greet', '--extract', '--to-stdout', ...logs)).toBe('');

  const env = await apps.env('e', 'greet');
  expect(await env.run('greet')).toBe('hello, world (1.0)\n');
  expect(await env.packages()).toEqual(['greeter 1.0', 'greeter-data 1.0']);
  expect(await env.complaints()).toBe('');
  expect(await env.run('apt-mark showauto')).toBe('greeter-data\n');

  expect(await apps.build('greet', ['greeter'])).toMatchObject({ version: null, packages: [] });
  expect(await apps.root.ok('template', 'update', 'greet')).toBe(
    'greet: nothing new; greet@1 is what there is\n',
  );
});

test('an update is a staged version of what changed, with the packages as its note', async () => {
  await apps.build('greet', ['greeter']);
  await publish(greeter['1.1']);
  const { version } = await apps.root.json<{ version: object }>('template', 'update', 'greet');
  expect(version).toMatchObject({ number: 2, staged: true, note: 'greeter 1.0 -> 1.1' });
  const packages = await apps.root.ok('template', 'packages', 'greet@2', '-H');
  expect(packages).toContain('greeter\t1.1');
});

test('an update after the newest version was rolled back and removed starts from the one before', async () => {
  await apps.build('greet', ['greeter']);
  await publish(greeter['1.1']);
  await apps.root.ok('template', 'update', 'greet');
  await apps.root.ok('patch', 'greet');
  await apps.root.ok('rollback', 'greet');
  await apps.root.ok('gc', '--keep', '0');
  const again = await apps.root.json<{ version: object }>('template', 'update', 'greet');
  expect(again.version).toMatchObject({ number: 3, staged: true, note: 'greeter 1.0 -> 1.1' });
  await apps.root.ok('template', 'rm', 'greet@3', '--force');
  const old = apps.config('greet', { packages: ['greeter=1.0'] });
  expect(await apps.root.ok('template', 'build', old)).toBe(
    'greet: nothing new; greet@1 is what there is\n',
  );
});

test('the same packages make the same version, in any root', async () => {
  const packages = ['userful', 'greeter', 'alternative-a', 'configful'];
  await apps.build('all', packages);
  const shadow = await apps.tar('all', '--extract', '--to-stdout', './etc/shadow');
  // Not the day of the build: 1990-01-01.
  expect(shadow).toContain('userful:!:7305:');
  const times = await apps.tar('all', '--list', '--verbose', '--utc');
  expect(times).not.toContain(` ${new Date().getUTCFullYear()}-`);
  const other = await TinyApps.create(systems);
  try {
    await other.build('all', packages);
    expect(await other.digest('all')).toBe(await apps.digest('all'));
  } finally {
    await other.dispose();
  }
});

/** A service whose script expects what a machine has after it booted. */
const booted: DebDescription = {
  name: 'booted',
  version: '1.0',
  arch: 'all',
  depends: ['userful'],
  files: {
    '/usr/lib/tmpfiles.d/booted.conf': `# a comment
d /run/booted 0750 userful userful -
D! /var/run/booted/deep/er - - - -
d /run/user/%U 0700 - - -
d /run/../etc/booted 0755 - - -
d /run/stranger 0755 stranger - -
f /run/booted.pid 0644 - - -
d /var/cache/booted 0755 - - -
`,
    '/usr/lib/tmpfiles.d/off.conf': 'd /run/off 0755 - - -\n',
    '/etc/tmpfiles.d/off.conf': { symlink: '/dev/null' },
    '/etc/init.d/booted': `#!/bin/sh
set -e
mkdir /run/lock/booted
su -s /bin/sh userful -c : 2>/dev/null || true
: >/run/booted/booted.sock
`,
  },
  // Builds have it, too.
  scripts: { postinst: 'mkdir /run/lock/booted-install\n' },
};

test('what services expect below /run is there, and nothing else of it', async () => {
  await publish(booted);
  await apps.build('booted', ['booted']);
  const env = await apps.env('e', 'booted');
  const [uid] = (await env.run('id -u userful')).split('\n');
  expect(
    (await env.run('find /run -mindepth 1 -printf "%P %m %U\\n"')).trim().split('\n').sort(),
  ).toEqual([`booted 750 ${uid}`, 'booted/deep 755 0', 'booted/deep/er 755 0', 'lock 1777 0']);
  await env.run('/etc/init.d/booted');
  expect(await apps.build('booted', ['booted'])).toMatchObject({ version: null });
});

test("a repository of the app's own, which the env's apt then knows", async () => {
  const { repo, server } = systems;
  const deaf = ['rm "$1"/etc/apt/sources.list.d/*; : >"$1"/etc/apt/sources.list'];
  const tiny = { kind: 'os', base: undefined, variant: 'custom', packages: ['tiny-base'] };
  const from = { suite: 'stable', repository: server.url, keyring: repo.keyring };
  const os = apps.config('deaf', { ...tiny, ...from, hooks: deaf });
  await apps.root.ok('template', 'build', os);
  const without = await apps.refused({ base: 'deaf', packages: ['greeter'] });
  expect(without.stderr).toContain('there is no package greeter');
  await apps.build('greet', ['greeter'], { base: 'deaf', ...from });
  expect(await apps.members('greet')).toContain('./etc/apt/sources.list.d/greet.sources');
  expect(await apps.root.ok('template', 'packages', 'greet', '-H', '-o', 'package')).toBe(
    'greeter\ngreeter-data\n',
  );
  await apps.root.create('e', 'deaf', 'greet');
  const [mount] = await apps.root.json<{ mountpoint: string }[]>('mount', 'e');
  const script = 'apt-get update && apt-get install --yes linked && linked';
  const { stdout, stderr } = await sh('chroot "$1" sh -c "$2"', [mount!.mountpoint, script]);
  expect(stdout, stderr).toMatch(/linked as linked\n$/);
  // The base's own, once more; and one in a directory.
  await apps.build('again', ['greeter'], from);
  await apps.build('directory', ['greeter'], { base: 'deaf', ...from, repository: repo.url });
  expect(await apps.members('directory')).not.toContainEqual(expect.stringContaining('repository'));
});

test('links, set-user-ID programs, diversions, conffiles, alternatives and owners', async () => {
  await apps.build('many', ['linked', 'diverter', 'configful', 'alternative-a', 'userful']);
  const env = await apps.env('e', 'many');
  expect(await env.complaints()).toBe('');
  const links = 'stat -c "%h %i" /usr/bin/linked /usr/bin/linked-again /usr/lib/linked/elsewhere';
  const [first, ...others] = (await env.run(links)).trim().split('\n');
  expect(first).toMatch(/^3 /);
  expect(others).toEqual([first, first]);
  expect(await env.run('stat -c %a /usr/bin/id-as-root; linked-softly')).toBe(
    '4755\nlinked as linked-softly\n',
  );
  expect(await env.run('whoami; dpkg-divert --list')).toContain('diverted root\n');
  expect(await env.run('configful; alternative; readlink /usr/bin/alternative')).toBe(
    'one\nalternative-a\n/etc/alternatives/alternative\n',
  );
  expect(await env.run('stat -c "%U:%G %a" /var/lib/userful')).toBe('userful:userful 750\n');
  expect(await env.run('id -u userful')).toMatch(/^4\d\d\n$/);
  const removed = await env.run('apt-get remove --yes diverter >/dev/null 2>&1 && whoami');
  expect(removed).toBe('root\n');
});

test('a directory that a group of the base can read by its ACL, as systemd makes it', async () => {
  const script = path.join(apps.root.base, 'give-acl.cjs');
  writeFileSync(script, GIVE_ACL);
  const node = [process.execPath, script, builtFile('byref.node')].map((word) => `'${word}'`);
  const hook = `mkdir "$1/var/log/journal"; ${node.join(' ')} "$1"`;
  await apps.build('journal', ['greeter'], { hooks: [hook] });
  const env = await apps.env('e', 'journal');
  const acl = native.getXattr(`${env.mountpoint}/var/log/journal`, ACCESS_ACL) as Buffer;
  expect(acl.toString('hex')).toBe(ADM_READS.toString('hex'));
});

/** Would start a daemon of each sort, and says what policy-rc.d told it. */
const service: DebDescription = {
  name: 'service',
  version: '1.0',
  arch: 'all',
  files: { '/usr/share/service/file': 'x\n' },
  scripts: {
    postinst: `
policy-rc.d service start && echo started >/var/lib/service || echo "refused: $?" >/var/lib/service
start-stop-daemon --start --background --exec /usr/bin/sleep -- 12345.6
setsid sleep 12345.7 </dev/null >/dev/null 2>&1 &
sleep 12345.8 &`,
  },
};

test('no service is started, and what a package starts itself ends with the build', async () => {
  await publish(service);
  await apps.build('service', ['service'], { hooks: ['sleep 12345.9 & :'] });
  expect(await apps.members('service')).not.toContain('./usr/sbin/policy-rc.d');
  const left = await sh("grep -lsz '^12345[.]' /proc/[0-9]*/cmdline || :");
  expect(left.stdout).toBe('');
  const env = await apps.env('e', 'service');
  expect(await env.run('cat /var/lib/service')).toBe('refused: 101\n');
});

/** Moves, takes away and changes what the base has. */
const mover: DebDescription = {
  name: 'mover',
  version: '1.0',
  arch: 'all',
  files: { '/usr/share/mover/file': 'x\n' },
  scripts: {
    postinst: `
mv /usr/share/dpkg/sh /usr/share/moved
rm /etc/host.conf
chmod 700 /srv
chown 33:33 /mnt`,
  },
};

test('what was moved is there, and what can not be taken away is told', async () => {
  await publish(mover);
  const { notes } = await apps.build('mover', ['mover']);
  expect(notes).toEqual([expect.stringMatching(/removed \/etc\/host\.conf, .*tiny has/)]);
  const env = await apps.env('e', 'mover');
  expect(await env.run('diff -r /usr/share/dpkg/sh /usr/share/moved')).toBe('');
  expect(await env.run('stat -c "%a %u" /srv /mnt')).toBe('700 0\n755 33\n');
  expect(await env.run('ls /etc/host.conf')).toBe('/etc/host.conf\n');
});

test('packages that are not there, do not fit or fail are told by name', async () => {
  const said = async (fields: Readonly<Record<string, unknown>>): Promise<string> => {
    const { code, stderr } = await apps.refused(fields);
    expect(code, stderr).toBe(7);
    expect(stderr).toMatch(/^byref: bad could not be built: [\s\S]*\n {2}hint: /m);
    return stderr;
  };
  expect(await said({ packages: ['nosuch'] })).toContain('there is no package nosuch');
  expect(await said({ packages: ['unresolvable'] })).toMatch(/unresolvable : Depends: not-to-be/);
  expect(await said({ packages: ['greeter', 'shouter'] })).toMatch(/Conflicts: greeter/);
  expect(await said({ packages: ['greeter=9'] })).toContain("no version '9' for 'greeter'");
  const loud = { kind: 'os', base: undefined, suite: 'stable', variant: 'custom' };
  const { server, repo } = systems;
  const from = { repository: server.url, keyring: repo.keyring };
  await apps.build('loud', ['tiny-base', 'shouter'], { ...loud, ...from });
  expect(await said({ base: 'loud', packages: ['greeter'] })).toMatch(
    /can't be beside what the base has: shouter\n/,
  );
  expect(await said({ packages: ['failing'] })).toContain('failing could not be installed');
  const hook = await said({ packages: ['greeter'], hooks: ['echo "no luck" >&2; exit 3'] });
  expect(hook).toMatch(/the hook "echo .* failed:\nno luck/);
});

test('a base that is none, and mistakes in a configuration', async () => {
  expect(await apps.refused({ base: 'nosuch', packages: ['greeter'] })).toEqual({
    code: 3,
    stderr: expect.stringContaining('nosuch'),
  });
  await apps.build('greet', ['greeter']);
  expect(await apps.refused({ base: 'greet', packages: ['linked'] })).toEqual({
    code: 7,
    stderr: expect.stringContaining('greet, the base of bad, is no OS template'),
  });
  const mistakes = async (fields: Readonly<Record<string, unknown>>): Promise<string> => {
    const { code, stderr } = await apps.refused(fields);
    expect(code, stderr).toBe(7);
    return stderr;
  };
  expect(await mistakes({})).toMatch(/bad\.yaml:1: packages: is missing/);
  const repository = 'http://127.0.0.1/debian';
  expect(await mistakes({ packages: ['greeter'], repository })).toMatch(
    /:\d: repository: needs its suite/,
  );
  expect(await mistakes({ packages: ['greeter'], keyring: 'key.gpg' })).toMatch(
    /:\d: keyring: is of a repository, and none is named/,
  );
  expect(await mistakes({ packages: ['greeter'], recommends: 'yes' })).toMatch(
    /:\d: recommends: "yes" is not true or false/,
  );
  expect(await mistakes({ packages: ['greeter'], variant: 'minbase' })).toMatch(
    /:\d: variant: an app has that of its base/,
  );
  const none = { suite: 'stable', repository, keyring: 'none.gpg' };
  expect(await mistakes({ packages: ['greeter'], ...none })).toMatch(
    /keyring: there is no .*none[.]gpg/,
  );
});

test('a repository that breaks off, is not there, or is signed by another key', async () => {
  const { server, repo } = systems;
  const packages = ['greeter'];
  server.breakAfter(0);
  const broken = await apps.refused({ packages });
  server.heal();
  expect(broken).toEqual({ code: 13, stderr: expect.stringContaining("can't be read: http") });
  const own = { packages, suite: 'stable', keyring: repo.keyring };
  const gone = await apps.refused({ ...own, repository: 'http://127.0.0.2:9/debian' });
  expect(gone.code, gone.stderr).toBe(13);
  const suite = await apps.refused({ ...own, repository: server.url, suite: 'nosuch' });
  expect(suite.code, suite.stderr).toBe(13);
  await systems.during(
    () => repo.signWithAnotherKey(),
    () => repo.signWithOwnKey(),
  );
  const untrusted = await apps.refused({ packages });
  expect(untrusted).toEqual({
    code: 14,
    stderr: expect.stringContaining('signature does not verify'),
  });
});

test('what scripts made for a service is as it was first made, in later versions and under what envs made of it', async () => {
  await publish(statefulApp['1.0']);
  await apps.build('state', ['stateful']);
  const first = await apps.env('e', 'state');
  const id = await first.run('cat /var/lib/stateful/1.0/id');
  await first.run('echo 2 >>/var/lib/stateful/1.0/log');
  await publish(statefulApp['1.1']);
  await apps.root.ok('template', 'update', 'state');
  await apps.root.ok('patch', 'state');
  const seen = await first.run(
    'cd /var/lib/stateful; cat 1.0/id 1.0/log shipped; ls; stat -c %U 1.0 1.0/id 1.1',
  );
  expect(seen).toBe(`${id}1\n2\n1.1\n1.0\n1.1\ncache\nshipped\nstateful\nstateful\nstateful\n`);
  expect(await first.complaints()).toBe('');
});
