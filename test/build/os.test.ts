import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { configful, greeter, greeterData, linked } from '../../fixtures/apt/packages.ts';
import { EXIT } from '../../src/base/exit-codes.ts';
import { EMPTIED, LEFT_OUT } from '../../src/manager/recipes/build/rules.ts';
import { abandonedWorkplaces, mountsBelow } from '../support/machine/leftovers.ts';
import { BYREF } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { AptRepo } from '../support/packages/apt-repo.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { RepoServer } from '../support/packages/repo-server.ts';
import { tinyPackages } from '../support/packages/tiny-os.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let root: TestRoot;

beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  root = await TestRoot.create();
});
afterEach(async () => {
  try {
    expect(abandonedWorkplaces(root)).toEqual([]);
    expect(mountsBelow(root.tmp)).toEqual([]);
  } finally {
    await root.dispose();
  }
});

/** Writes a configuration of the tiny system. */
function config(fields: Readonly<Record<string, unknown>> = {}): string {
  const file = path.join(root.base, 'tiny.yaml');
  const all = {
    name: 'tiny',
    suite: 'stable',
    variant: 'custom',
    repository: systems.server.url,
    keyring: systems.repo.keyring,
    packages: ['tiny-base'],
    ...fields,
  };
  writeFileSync(file, JSON.stringify(all, null, 1));
  return file;
}

/** A further repository, with a key of its own. */
async function repository(
  name: string,
  names: { suite: string; component?: string },
  ...packages: readonly DebDescription[]
): Promise<AptRepo> {
  const repo = await AptRepo.create(path.join(root.base, name), names);
  onTestFinished(() => repo.dispose());
  await repo.add(...packages);
  await repo.publish();
  return repo;
}

/** What is built as tiny@N, by name. */
async function versions(template: string): Promise<Record<string, string>> {
  const all = await root.json<{ name: string; version: string }[]>(
    'template',
    'packages',
    template,
  );
  return Object.fromEntries(all.map(({ name, version }) => [name, version]));
}

interface BuiltJson {
  readonly version: {
    readonly number: number;
    readonly note: string;
    readonly staged: boolean;
  } | null;
  readonly packages: readonly { name: string; was: string | null; is: string | null }[];
}

const buildAgain = (file: string): Promise<BuiltJson> => root.json('template', 'build', file);

async function refused(fields: Readonly<Record<string, unknown>>) {
  const { code, stderr } = await root.byref('template', 'build', config(fields));
  expect(await root.json('template', 'list')).toEqual([]);
  return { code, stderr };
}

test('a system is built, an env of it runs, and the same packages make no other version', async () => {
  const file = config({ packages: ['tiny-base', 'greeter'], hooks: ['echo built >"$1/etc/hook"'] });
  const first = await buildAgain(file);
  expect(first.version).toMatchObject({ number: 1, note: '', staged: false });
  expect(first.packages).toContainEqual({ name: 'greeter', was: null, is: '1.0' });
  await root.create('e', 'tiny');
  const mount = await root.mount('e');
  const inside = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await root.shell(`chroot ${mount} sh -c '${script}'`, '/');
    expect(code, stdout + stderr).toBe(0);
    return stdout;
  };
  expect(await inside('greet; cat /etc/hook')).toBe('hello, world (1.0)\nbuilt\n');
  expect(
    await inside('dpkg --verify; dpkg --audit; find /var/lib/apt/lists /var/cache/apt -type f'),
  ).toBe('');
  expect(await inside('find /var/log -type f -size +0')).toBe('');
  // Of one machine: its first mount gives the env its own.
  const exported = '"$1" template export tiny - | tar --list';
  const { stdout: members } = await root.shell(`${exported} | grep etc/`, '/');
  expect(members).toContain('etc/os-release\n');
  for (const name of ['machine-id', 'hostname', 'resolv.conf'])
    expect(members).not.toContain(`etc/${name}\n`);
  expect(await inside('stat -c "%a %u:%g" /run /run/lock; ls /run')).toBe(
    '755 0:0\n1777 0:0\nlock\n',
  );
  // The repository is known and trusted in there.
  const install = 'apt-get update && apt-get install --yes linked';
  expect(await inside(`(${install}) 2>&1 || (cat /etc/apt/sources.list.d/*; exit 1)`)).toContain(
    'Setting up linked',
  );

  expect(await buildAgain(file)).toMatchObject({ version: null, packages: [] });
  expect(await root.ok('template', 'update', 'tiny')).toBe(
    'tiny: nothing new; tiny@1 is what there is\n',
  );
  const other = await TestRoot.create();
  try {
    await other.ok('template', 'build', file);
    const tree = async (each: TestRoot): Promise<string> => {
      const { stdout } = await each.shell('"$1" template export tiny@1 - | sha256sum', '/');
      return stdout;
    };
    expect(await tree(other)).toBe(await tree(root));
  } finally {
    await other.dispose();
  }
});

test('an update is a staged version of what changed, with the packages as its note', async () => {
  const file = config({ packages: ['tiny-base', 'greeter'] });
  await buildAgain(file);
  await root.create('e', 'tiny');
  const mount = await root.mount('e');
  const { 'tiny-base': base } = await tinyPackages();
  await systems.during(
    () => systems.repo.add(greeter['1.1'], { ...base!, version: '1.1' }),
    () => {
      systems.repo.remove('greeter', '1.1');
      systems.repo.remove('tiny-base', '1.1');
    },
  );
  const updated = await root.json<BuiltJson>('template', 'update', 'tiny');
  expect(updated.version).toMatchObject({
    number: 2,
    staged: true,
    note: 'greeter 1.0 -> 1.1; tiny-base 1.0 -> 1.1',
  });
  const changed = (await root.ok('template', 'diff', 'tiny', '1', '2')).trim().split('\n');
  expect(
    changed.filter((line) => !/ \/(usr\/bin\/greet|usr\/share\/|var\/lib\/dpkg\/)/.test(line)),
  ).toEqual([]);
  const run = (): Promise<{ stdout: string }> => root.shell(`chroot ${mount} greet`, '/');
  expect((await run()).stdout).toBe('hello, world (1.0)\n');
  await root.ok('patch', 'tiny');
  expect((await run()).stdout).toBe('hello, world (1.1)\n');
  await root.ok('rollback', 'tiny');
  expect((await run()).stdout).toBe('hello, world (1.0)\n');
});

test('that there is nothing new is found out without a package fetched, with sources and pins as they are', async () => {
  const vendor = await repository('vendor', { suite: 'testing' }, greeter['1.1'], linked);
  const { url } = await vendor.serve();
  const source = { repository: url, suites: 'testing', keyring: vendor.keyring };
  const pins = [{ packages: '*', pin: 'release n=testing', priority: 90 }];
  await buildAgain(config({ packages: ['tiny-base', 'greeter'], sources: [source], pins }));
  const from = systems.server.requests.length;
  expect(await root.ok('template', 'update', 'tiny')).toBe(
    'tiny: nothing new; tiny@1 is what there is\n',
  );
  const fetched = systems.server.requests.slice(from);
  expect(fetched).toContain('/dists/stable/InRelease');
  expect(fetched.filter((each) => each.startsWith('/pool/'))).toEqual([]);
  await systems.during(
    () => systems.repo.add({ ...greeterData, version: '1.1' }),
    () => systems.repo.remove('greeter-data', '1.1'),
  );
  const { version } = await root.json<BuiltJson>('template', 'update', 'tiny');
  expect(version).toMatchObject({ number: 2, note: 'greeter-data 1.0 -> 1.1' });
});

test('several repositories with keys, suites, components and pins of their own; the env knows them all', async () => {
  const tools = { suite: 'testing', component: 'tools' };
  const vendor = await repository('vendor', tools, greeter['1.1'], configful['1.1']);
  const { url } = await vendor.serve();
  const source = {
    repository: url,
    suites: ['testing'],
    components: ['tools'],
    keyring: vendor.keyring,
  };
  const other = await repository('other', { suite: 'one' }, { ...greeterData, version: '2.0' });
  const served = (await other.serve()).url;
  const further = { repository: served, suites: 'one', keyring: other.keyring };
  const all = {
    packages: ['tiny-base', 'greeter', 'configful'],
    sources: [source, further],
    pins: [{ packages: 'greet*', pin: 'release n=stable', priority: 990 }],
  };
  await buildAgain(config(all));
  expect(await versions('tiny')).toMatchObject({
    greeter: '1.0',
    'greeter-data': '1.0',
    configful: '1.1',
  });
  await root.create('e', 'tiny');
  const mount = await root.mount('e');
  const script = 'rm -rf /var/lib/apt/lists; apt-get update; apt-cache policy greeter';
  const heard = (await root.shell(`chroot ${mount} sh -c '${script}' 2>&1`, '/')).stdout;
  expect(heard).toMatch(/Candidate: 1\.0[\s\S]*1\.1 500[\s\S]*1\.0 990/);
  expect(heard).not.toMatch(/NO_PUBKEY|not signed/);

  await buildAgain(config({ ...all, pins: [] }));
  expect(await versions('tiny@2')).toMatchObject({ greeter: '1.1', 'greeter-data': '2.0' });

  // An app's pin wins over its base's.
  const pins = [{ packages: ['greeter'], pin: 'release n=testing', priority: 1000 }];
  const app = {
    kind: 'app',
    name: 'app',
    base: 'tiny',
    packages: ['greeter'],
    sources: [source],
    pins,
  };
  const file = path.join(root.base, 'app.yaml');
  writeFileSync(file, JSON.stringify(app));
  await buildAgain(file);
  expect(await versions('app')).toEqual({ greeter: '1.1' });
});

test("a suite's -updates and -security come along, from beside the repository, in the build and in the env", async () => {
  const base = path.join(root.base, 'mirror');
  const updates = await repository('updates', { suite: 'stable-updates' }, configful['1.1']);
  const security = await repository('security', { suite: 'stable-security' }, greeter['1.1']);
  const { root: main, keyring } = systems.repo;
  await root.shell(
    `mkdir ${base}; cp -r ${main} ${base}/debian; cp -r ${updates.root}/* ${base}/debian/; cp -r ${security.root} ${base}/debian-security`,
    '/',
  );
  const keys = path.join(root.base, 'all.gpg');
  writeFileSync(
    keys,
    Buffer.concat([keyring, updates.keyring, security.keyring].map((key) => readFileSync(key))),
  );
  const server = await RepoServer.start(base);
  onTestFinished(() => server.close());
  const mirror = { repository: `${server.url}/debian`, keyring: keys };
  const packages = ['tiny-base', 'greeter', 'configful'];
  await buildAgain(config({ ...mirror, packages }));
  expect(await versions('tiny')).toMatchObject({ greeter: '1.1', configful: '1.1' });
  await root.create('e', 'tiny');
  const mount = await root.mount('e');
  const { stdout } = await root.shell(`cat ${mount}/etc/apt/sources.list.d/*`, '/');
  expect(stdout.match(/^(URIs|Suites): .*/gm)).toEqual([
    `URIs: ${server.url}/debian`,
    'Suites: stable',
    `URIs: ${server.url}/debian`,
    'Suites: stable-updates',
    `URIs: ${server.url}/debian-security`,
    'Suites: stable-security',
  ]);
  await buildAgain(config({ ...mirror, packages, updates: false }));
  expect(await versions('tiny@2')).toMatchObject({ greeter: '1.0', configful: '1.0' });
});

test('packages that are not there, do not fit or fail are told by name, and nothing is left', async () => {
  const missing = await refused({ packages: ['tiny-base', 'nosuch'] });
  expect(missing).toEqual({
    code: EXIT.badInput,
    stderr: expect.stringContaining('there is no package nosuch'),
  });
  const unmet = await refused({ packages: ['tiny-base', 'unresolvable'] });
  expect(unmet).toEqual({
    code: EXIT.badInput,
    stderr: expect.stringMatching(/do not fit together: unresolvable : Depends: /),
  });
  const conflict = await refused({ packages: ['tiny-base', 'greeter', 'shouter'] });
  expect(conflict).toEqual({
    code: EXIT.badInput,
    stderr: expect.stringMatching(/do not fit together: .*shouter : Conflicts: greeter/),
  });
  const failing = await refused({ packages: ['tiny-base', 'failing'] });
  expect(failing).toEqual({
    code: EXIT.badInput,
    stderr: expect.stringContaining('failing could not be installed'),
  });
  const version = await refused({ packages: ['tiny-base', 'greeter=9'] });
  expect(version.stderr).toContain("there is no version '9' for 'greeter'");
});

test('a repository that breaks off, is not there, or is signed by another key', async () => {
  systems.server.breakAfter(100_000);
  const broken = await refused({});
  systems.server.heal();
  expect(broken).toEqual({
    code: EXIT.unreachable,
    stderr: expect.stringContaining("the repository can't be read"),
  });
  const suite = await refused({ suite: 'nosuch' });
  expect(suite.code).toBe(EXIT.unreachable);
  const gone = await refused({ repository: 'http://127.0.0.1:9/debian' });
  expect(gone.code).toBe(EXIT.unreachable);
  await systems.during(
    async () => systems.repo.signWithAnotherKey(),
    () => systems.repo.signWithOwnKey(),
  );
  const untrusted = await refused({});
  expect(untrusted).toEqual({
    code: EXIT.untrusted,
    stderr: expect.stringContaining('signature does not verify'),
  });
});

test('a repository in a directory; and a file that is not right', async () => {
  copyFileSync(systems.repo.keyring, path.join(root.base, 'key.gpg'));
  const built = await buildAgain(config({ repository: systems.repo.url, keyring: 'key.gpg' }));
  expect(built.version?.number).toBe(1);
  // The key is still found: the path was relative to the file.
  expect(await root.ok('template', 'update', 'tiny')).toContain('nothing new');
  const bad = await root.byref('template', 'build', config({ packages: 'greeter' }));
  expect([bad.code, bad.stderr]).toEqual([
    EXIT.badInput,
    expect.stringMatching(/tiny\.yaml:\d+: packages: "greeter" is not a list/),
  ]);
  const missing = await root.byref('template', 'build', path.join(root.base, 'none.yaml'));
  expect(missing.code).toBe(EXIT.notFound);
  await root.import('plain', root.directory('plain'));
  const imported = await root.byref('template', 'update', 'plain');
  expect([imported.code, imported.stderr]).toEqual([
    EXIT.usage,
    expect.stringContaining('was not built, but imported'),
  ]);
});

test('a name that a template of the other kind has is refused before anything is fetched', async () => {
  await root.import('tiny', root.directory('empty'), 'app');
  const requests = systems.server.requests.length;
  const { code, stderr } = await root.byref('template', 'build', config());
  expect([code, stderr]).toEqual([
    EXIT.badInput,
    expect.stringContaining('there is a template tiny, of the other kind: app'),
  ]);
  expect(systems.server.requests.length).toBe(requests);
});

test('packages of a version, and which one a path of an env is of', async () => {
  await buildAgain(config({ packages: ['tiny-base', 'greeter'] }));
  const packages = await root.ok('template', 'packages', 'tiny', '-H', '-o', 'package,version');
  expect(packages.split('\n')).toEqual(expect.arrayContaining(['greeter\t1.0', 'tiny-base\t1.0']));
  const app = root.directory('app');
  writeFileSync(path.join(app, 'of-the-app'), 'x');
  await root.import('app', app, 'app');
  await root.create('e', 'tiny', 'app');
  const mount = await root.mount('e');
  await root.shell('echo own >>usr/bin/greet; rm usr/share/greeter/words; echo mine >mine', mount);
  const which = async (file: string): Promise<string> =>
    (await root.ok('template', 'which', 'e', file)).trim();
  expect(await which('/usr/share/doc/greeter/changelog')).toBe(
    '/usr/share/doc/greeter/changelog: tiny@1, package greeter 1.0',
  );
  // Through a symlink, as nearly everything below /bin is.
  expect(await which('bin/dpkg')).toBe('/usr/bin/dpkg: tiny@1, package tiny-dpkg 1.0');
  expect(await which('/usr/bin/greet')).toBe(
    "/usr/bin/greet: e's own; the template's is of tiny@1, package greeter 1.0",
  );
  expect(await which('/usr/share/greeter/words')).toBe(
    "/usr/share/greeter/words: e removed it; the template's is of tiny@1, package greeter-data 1.0",
  );
  expect(await which('/mine')).toBe("/mine: e's own");
  expect(await which('/of-the-app')).toBe('/of-the-app: app@1');
  expect(await which('/var/lib/dpkg/status')).toBe('/var/lib/dpkg/status: tiny@1');
  expect(await which('/')).toBe('/: tiny@1');
  expect(await root.json('template', 'which', 'e', '/usr/bin/../bin/dpkg')).toEqual({
    path: '/usr/bin/../bin/dpkg',
    real: '/usr/bin/dpkg',
    what: 'template',
    template: 'tiny',
    version: 1,
    package: 'tiny-dpkg 1.0',
    writtenBy: null,
    merged: [],
  });
  const missing = await root.byref('template', 'which', 'e', '/usr/nosuch/file');
  expect([missing.code, missing.stderr]).toEqual([
    EXIT.notFound,
    expect.stringContaining(
      'e has no /usr/nosuch/file (/usr/nosuch is not there, or no directory)',
    ),
  ]);
});

test('a build that is interrupted, or killed, leaves nothing', async () => {
  const started = path.join(root.base, 'hook-started');
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    const file = config({ hooks: [`touch ${started}; sleep 60`] });
    const child = root.background('exec "$1" template build "$2"', BYREF, file);
    await expect.poll(() => existsSync(started), { timeout: 30_000 }).toBe(true);
    rmSync(started);
    process.kill(child.pid!, signal);
    await expect.poll(() => child.exitCode ?? child.signalCode, { timeout: 10_000 }).not.toBe(null);
    expect(await root.json('template', 'list')).toEqual([]);
  }
  // What the killed one could not remove, the next one does.
  await buildAgain(config());
});

test('the rules are those that docs/reference/building.md shows', () => {
  const docs = readFileSync(
    path.join(import.meta.dirname, '../../docs/reference/building.md'),
    'utf8',
  );
  for (const pattern of [...LEFT_OUT, ...EMPTIED]) expect(docs).toContain(`\`${pattern}\``);
});
