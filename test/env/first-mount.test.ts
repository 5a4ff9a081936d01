import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { hostnameOf, hostsText, ownLine } from '../../src/manager/envs/first-mount/identity.ts';
import { writeFiles } from '../support/machine/patch-root.ts';
import { TestRoot } from '../support/machine/root.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

/** What a template should not have, and imported ones do. */
const SYSTEM = {
  'etc/hostname': 'golden-image\n',
  'etc/hosts': '127.0.0.1 localhost\n127.0.1.1 golden-image\n10.0.0.7 db\n',
  'etc/os-release': 'ID=test\n',
  'etc/machine-id': '11111111111111111111111111111111\n',
  'etc/shadow': 'root:*:19000:0:99999:7:::\nmail:*:19000::::::\n',
  'etc/ssh/sshd_config': 'Port 22\n',
  'etc/ssh/ssh_host_rsa_key': 'shared by all\n',
  'etc/ssh/ssh_host_rsa_key.pub': 'shared by all\n',
  'run/x': '',
  'var/lib/dbus/machine-id': '11111111111111111111111111111111\n',
};

let root: TestRoot;
beforeEach(async () => {
  root = await TestRoot.create();
  const dir = root.directory('system');
  writeFiles(dir, SYSTEM);
  await root.ok('template', 'import', 'os', dir);
});
afterEach(() => root.dispose());

const setups = (): string[] =>
  readdirSync(path.join(root.path, 'envs')).filter((name) => name.includes('setup'));

const inEnv = (env: string, file: string): string =>
  readFileSync(path.join(root.path, 'mnt', env, file), 'latin1');

test('each env has a name, ids and resolver of its own from its first mount on, and keeps them', async () => {
  await root.ok('create', 'a', 'b_2', '--os', 'os');
  await root.ok('mount', 'a', 'b_2');
  expect(inEnv('a', 'etc/hostname')).toBe('a\n');
  expect(inEnv('b_2', 'etc/hostname')).toBe('b-2\n');
  expect(inEnv('a', 'etc/hosts')).toBe('127.0.0.1 localhost\n127.0.1.1\ta\n10.0.0.7 db\n');
  expect(inEnv('a', 'etc/resolv.conf')).toBe(readFileSync('/etc/resolv.conf', 'latin1'));
  const ids = ['a', 'b_2'].map((env) => inEnv(env, 'etc/machine-id'));
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}\n$/);
  expect(new Set([...ids, SYSTEM['etc/machine-id']]).size).toBe(3);
  const { stdout } = await root.shell(
    'readlink var/lib/dbus/machine-id; stat -c %a run/lock',
    `${root.path}/mnt/a`,
  );
  expect(stdout).toBe('/etc/machine-id\n1777\n');
  expect(existsSync(path.join(root.path, 'mnt/a/etc/ssh/ssh_host_rsa_key'))).toBe(false);
  expect(inEnv('a', 'etc/ssh/sshd_config')).toBe('Port 22\n');
  expect(setups()).toEqual([]);

  // What somebody changes since is theirs.
  await root.shell('echo other >etc/hostname', `${root.path}/mnt/a`);
  await root.ok('umount', '--all');
  await root.ok('mount', '--all');
  expect(inEnv('a', 'etc/hostname')).toBe('other\n');
  expect(inEnv('a', 'etc/machine-id')).toBe(ids[0]);
  expect((await root.byref('fsck')).code).toBe(0);
});

test('create takes several names, and --count with a pattern', async () => {
  const names = async (): Promise<string[]> =>
    (await root.json<{ name: string }[]>('list')).map(({ name }) => name);
  expect(await root.ok('create', 'x', 'y', '--os', 'os')).toBe(
    'created x (id 1)\ncreated y (id 2)\n',
  );
  expect(await root.json('create', 'web', '--os', 'os', '--count', '3')).toMatchObject([
    { name: 'web1' },
    { name: 'web2' },
    { name: 'web3' },
  ]);
  await root.ok(
    'create',
    'db-%02d.eu',
    '--os',
    'os',
    '--count',
    '2',
    '--hostname',
    'db%d.example.com',
  );
  expect(await names()).toEqual(['x', 'y', 'web1', 'web2', 'web3', 'db-01.eu', 'db-02.eu']);
  expect(await root.json('create', 'one', '--os', 'os')).toMatchObject({ name: 'one' });
  await root.ok('mount', 'db-02.eu');
  expect(inEnv('db-02.eu', 'etc/hostname')).toBe('db2.example.com\n');
  expect(inEnv('db-02.eu', 'etc/hosts')).toContain('127.0.1.1\tdb2.example.com db2\n');

  // None is made if one can't be.
  for (const [words, why] of [
    [['new', 'x'], 'there is an env "x" already'],
    [['web', '--count', '5'], 'there is an env "web1" already'],
    [['new', 'new'], 'new is named twice'],
    [['new', 'newer', '--hostname', 'h'], "2 envs can't have one host name"],
    [['new', '--count', '2', '--hostname', 'h'], "2 envs can't have one host name"],
    [['new', '--hostname', 'under_score'], '"under_score" is no host name'],
    [['new', '--password-hash', 'secret'], 'is no hash'],
    [['new', '--ssh-key', '/etc/hostname'], 'has no public keys'],
    [['new', '--ssh-key', '/nowhere'], 'is neither a public key nor a file'],
    [['new', '--file', 'motd'], 'does not say what goes where'],
    [['new', '--file', '/nowhere:/etc/motd'], '/nowhere does not exist'],
    [['new', '--file', '/etc:/etc/motd'], '/etc is no regular file'],
    [['new', '--count', '0'], 'is no count'],
  ] as const) {
    const { code, stderr } = await root.byref('create', ...words, '--os', 'os');
    expect(stderr).toContain(why);
    expect(code).not.toBe(0);
  }
  expect(await names()).toHaveLength(8);
  expect(setups()).toEqual(['6.setup']);
});

const KEY = `ssh-ed25519 ${'A'.repeat(68)} someone@somewhere`;
const HASH = '$6$salt$qwertyuiop/asdfghjkl.zxcvbnm';

test('a password, keys and files are put there at the first mount, also if that comes later', async () => {
  const motd = path.join(root.base, 'motd');
  writeFileSync(motd, 'hello\n', { mode: 0o640 });
  const keys = path.join(root.base, 'keys.pub');
  writeFileSync(keys, `# two\n${KEY}\n\n${KEY.replace('someone', 'other')}\n`);
  await root.ok(
    ...['create', 'e', '--os', 'os', '--password-hash', HASH, '--ssh-key', keys, '--ssh-key', KEY],
    ...['--file', `${motd}:/srv/new/motd`, '--file', `${motd}:/etc/`, '--hostname', 'h.example'],
  );
  // It is their content when the env was made.
  writeFileSync(motd, 'changed\n');
  // Read-only, nothing can be; it is said, and done later.
  const { stderr } = await root.run(['mount', 'e', '-o', 'ro']);
  expect(stderr).toBe('byref: e is set up when it is first mounted writable\n');
  expect(inEnv('e', 'etc/hostname')).toBe('golden-image\n');
  await root.ok('umount', 'e');
  await root.ok('mount', 'e');
  expect(inEnv('e', 'etc/hostname')).toBe('h.example\n');
  const today = Math.floor(Date.now() / 86_400_000);
  expect([`${today}`, `${today - 1}`].map((day) => `root:${HASH}:${day}:0:99999:7:::`)).toContain(
    inEnv('e', 'etc/shadow').split('\n')[0],
  );
  expect(inEnv('e', 'etc/shadow')).toContain('\nmail:*:19000::::::\n');
  expect(inEnv('e', 'root/.ssh/authorized_keys').split('\n')).toEqual([
    KEY,
    KEY.replace('someone', 'other'),
    '',
  ]);
  const { stdout } = await root.shell(
    'stat -c "%a %u" root/.ssh root/.ssh/authorized_keys srv/new/motd; cat srv/new/motd etc/motd',
    `${root.path}/mnt/e`,
  );
  expect(stdout).toBe('700 0\n600 0\n640 0\nhello\nhello\n');
  expect(setups()).toEqual([]);
});

test('an env of older times is left as it is, and a tree that is no system, too', async () => {
  await root.ok('create', 'old', '--os', 'os');
  mkdirSync(path.join(root.path, 'envs/1'));
  await root.ok('mount', 'old');
  expect(inEnv('old', 'etc/hostname')).toBe('golden-image\n');
  await root.mounted('data', root.directory('data'));
  expect(await root.json('diff', 'data')).toEqual([]);
});

test('destroy, gc and fsck know what is kept for a first mount', async () => {
  await root.ok('create', 'e', 'f', '--os', 'os', '--run-once', 'true');
  expect(setups()).toEqual(['1.setup', '2.setup']);
  expect(statSync(path.join(root.path, 'envs/1.setup')).mode & 0o777).toBe(0o700);
  await root.ok('destroy', 'e');
  expect(setups()).toEqual(['2.setup']);
  for (const stray of ['7.setup', '8.setup.new']) mkdirSync(path.join(root.path, 'envs', stray));
  const { findings } = await root.json<{ findings: { check: string }[] }>('fsck');
  expect(findings.map(({ check }) => check)).toEqual(['envs.extra', 'envs.extra']);
  await root.ok('fsck', '--repair');
  expect(setups()).toEqual(['2.setup']);
  mkdirSync(path.join(root.path, 'envs/7.setup'));
  await root.ok('gc');
  expect(setups()).toEqual(['2.setup']);
});

test('host names, and the file of hosts', () => {
  expect(['web1', 'a_b+c', 'x.', '_'].map(hostnameOf)).toEqual(['web1', 'a-b-c', 'x', 'localhost']);
  expect(hostsText('', ownLine('127.0.1.1', 'a'))).toBe(
    '127.0.0.1\tlocalhost\n127.0.1.1\ta\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n',
  );
  expect(hostsText('10.0.0.1 x\n', ownLine('127.0.1.1', 'a.b'))).toBe(
    '127.0.1.1\ta.b a\n10.0.0.1 x\n',
  );
});

let systems: TinySystems;
beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());

const SSH = `
cp /usr/bin/ssh-keygen "$1/usr/bin/"
ldd /usr/bin/ssh-keygen | sed -n 's/.*=> \\(.*\\) (.*/\\1/p' | while read -r file; do
  mkdir -p "$1\${file%/*}"
  [ -e "$1$file" ] || cp "$file" "$1$file"
done
mkdir -p "$1/etc/ssh"
: >"$1/usr/sbin/sshd"
`;

test('ssh host keys are made by the env, and commands are run in it, once', async () => {
  const apps = TinyApps.over(root, systems);
  const from = { suite: 'stable', repository: systems.server.url, keyring: systems.repo.keyring };
  const tiny = { kind: 'os', base: undefined, variant: 'custom', packages: ['tiny-base'] };
  await root.ok('template', 'build', apps.config('tiny', { ...tiny, ...from, hooks: [SSH] }));
  const commands = [
    'cat /etc/hostname >/ran; ls /etc/ssh >>/ran',
    'test -e /ready',
    'echo end >>/ran',
  ];
  await root.ok('create', 'e', '--os', 'tiny', ...commands.flatMap((each) => ['--run-once', each]));
  const failed = await root.byref('mount', 'e');
  expect([failed.code, failed.stderr]).toEqual([
    EXIT.error,
    expect.stringMatching(
      /^byref: e is mounted, but its command "test -e .ready" failed: exit status 1\n/,
    ),
  ]);
  expect((await root.info('e')).state).toBe('mounted');
  const id = inEnv('e', 'etc/machine-id');
  writeFileSync(path.join(root.path, 'mnt/e/ready'), '');
  await root.ok('mount', 'e');
  expect(inEnv('e', 'ran').split('\n')).toEqual([
    'e',
    ...['ecdsa', 'ed25519', 'rsa'].flatMap((kind) => [
      `ssh_host_${kind}_key`,
      `ssh_host_${kind}_key.pub`,
    ]),
    ...['end', ''],
  ]);
  expect(inEnv('e', 'etc/machine-id')).toBe(id);
  expect(existsSync(path.join(root.path, 'mnt/e/usr/sbin/policy-rc.d'))).toBe(false);
  expect(setups()).toEqual([]);
  // Confined: neither the machine's files nor its processes.
  await root.ok(
    'create',
    'f',
    '--os',
    'tiny',
    '--run-once',
    'ls / /proc/1/root/; kill -0 1; cat /proc/1/comm',
  );
  const { code, stderr } = await root.byref('mount', 'f');
  expect([code, stderr]).toEqual([0, '']);
  const keys = ['e', 'f'].map((env) => inEnv(env, 'etc/ssh/ssh_host_ed25519_key.pub'));
  expect(keys[0]).not.toBe(keys[1]);
});
