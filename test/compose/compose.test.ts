import { mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { greeter } from '../../fixtures/apt/packages.ts';
import { openStore } from '../../src/store/store.ts';
import { output } from '../support/machine/program.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
/** Apps, once they are built, are there for all tests; envs have names of their own. */
let apps: TinyApps;
const built = new Map<string, Promise<unknown>>();

/** Has the same file as `clash-b`, and does not say so. */
const clash = (name: string): DebDescription => ({
  name,
  version: '1.0',
  arch: 'all',
  files: { '/usr/share/clash/file': `of ${name}\n` },
});

/** Adds a user `shared`, at home in a directory of the package's name. */
const sharer = (name: string, home: string): DebDescription => ({
  name,
  version: '1.0',
  arch: 'all',
  files: { [`/var/lib/${name}`]: { directory: 0o755 } },
  scripts: {
    postinst: `
getent passwd shared >/dev/null || useradd --system --home-dir ${home} --no-create-home shared
chown shared /var/lib/${name}`,
  },
});

/** A library in a directory of its own, which the loader is told of. */
const library = (name: string, file: string): DebDescription => ({
  name,
  version: '1.0',
  files: {
    [`/opt/${name}/lib${name}.so.1`]: { copy: file },
    [`/etc/ld.so.conf.d/${name}.conf`]: `/opt/${name}\n`,
    '/usr/share/doc/library/file': 'the same in each\n',
  },
  scripts: { postinst: 'ldconfig' },
});

beforeAll(async () => {
  systems = await TinySystems.create();
  const libraries = await Promise.all(
    ['one', 'two'].map(async (name) => library(name, await sharedObject(name))),
  );
  await systems.repo.add(
    ...libraries,
    clash('clash-a'),
    clash('clash-b'),
    sharer('sharer-a', '/srv'),
    sharer('sharer-b', '/srv'),
    sharer('sharer-c', '/nonexistent'),
  );
  await systems.repo.publish();
  apps = await TinyApps.create(systems);
});
afterEach(() => apps.expectNothingLeft());
afterAll(async () => {
  await apps.dispose();
  await systems.dispose();
});

async function sharedObject(name: string): Promise<string> {
  const dir = mkdtempSync(path.join(systems.base, 'library-'));
  const file = path.join(dir, `lib${name}.so.1`);
  writeFileSync(path.join(dir, 'empty.c'), `int ${name}(void) { return 1; }\n`);
  const words = ['-shared', '-nostdlib', `-Wl,-soname,lib${name}.so.1`, '-o', file];
  await output('gcc', [...words, path.join(dir, 'empty.c')]);
  return file;
}

/** Apps of one package each, of the same name. */
async function have(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!built.has(name)) built.set(name, apps.build(name, [name]));
    await built.get(name);
  }
}

async function compositions(): Promise<number> {
  const store = await openStore(apps.root.path, { write: false });
  try {
    return store.catalog.compositions().length;
  } finally {
    await store.close();
  }
}

/** An env that is refused, and leaves nothing. */
async function refused(...names: readonly string[]): Promise<string> {
  const before = [await apps.root.json('list'), await compositions()];
  const { code, stderr } = await apps.create('refused', ...names);
  expect(code, stderr).toBe(7);
  expect([await apps.root.json('list'), await compositions()]).toEqual(before);
  return stderr;
}

test('users of two apps have numbers of their own, the same in every env', async () => {
  await have('userful', 'userful2');
  const look = `
    getent passwd userful userful2; getent group userful userful2
    stat -c '%n %U:%G %u:%g' /var/lib/userful /var/lib/userful2`;
  const env = await apps.env('users', 'userful', 'userful2');
  const said = await env.run(look);
  const ids = await env.run('id -u userful; id -u userful2');
  const [first = '', second = ''] = ids.trim().split('\n');
  expect(first).not.toBe(second);
  expect(said).toContain(`/var/lib/userful userful:userful ${first}:`);
  expect(said).toContain(`/var/lib/userful2 userful2:userful2 ${second}:`);
  expect(await env.complaints()).toBe('');
  expect(await env.run('tail -n +1 /etc/shadow /etc/gshadow | grep -c userful')).toBe('4\n');
  const other = await apps.env('users-turned', 'userful2', 'userful');
  expect(await other.run(look)).toBe(said);
});

test('a user that two apps add has one number, and must be the same in both', async () => {
  await have('sharer-a', 'sharer-b', 'sharer-c', 'userful');
  const env = await apps.env('shared', 'sharer-a', 'userful', 'sharer-b');
  expect(await env.run('stat -c %U /var/lib/sharer-a /var/lib/sharer-b')).toBe('shared\nshared\n');
  expect(await env.run('grep -c ^shared: /etc/passwd /etc/shadow')).toBe(
    '/etc/passwd:1\n/etc/shadow:1\n',
  );
  const said = await refused('sharer-a', 'sharer-c');
  expect(said).toMatch(/sharer-a@1 and sharer-c@1 can't be in one env: they have user shared diff/);
});

test('alternatives lead to the preferred one, whichever app is on top', async () => {
  await have('alternative-a', 'alternative-b');
  for (const order of [
    ['alternative-a', 'alternative-b'],
    ['alternative-b', 'alternative-a'],
  ]) {
    const env = await apps.env(`first-${order[0]}`, ...order);
    expect(await env.run('alternative')).toBe('alternative-b\n');
    expect(await env.packages()).toEqual(['alternative-a 1.0', 'alternative-b 1.0']);
    expect(await env.complaints()).toBe('');
    const shown = await env.run('update-alternatives --query alternative');
    expect(shown).toMatch(/Status: auto\nBest: \/usr\/bin\/alternative-b\nValue: .*-b\n/);
    await env.run('apt-get update && apt-get install --yes linked && linked');
    expect(await env.run('apt-get remove --yes alternative-b >/dev/null 2>&1; alternative')).toBe(
      'alternative-a\n',
    );
    expect(await env.packages()).toEqual(['alternative-a 1.0', 'linked 1.0']);
    expect(await env.complaints()).toBe('');
  }
});

test('apps whose packages can not be together are refused, both named', async () => {
  await have('greeter', 'shouter', 'clash-a', 'clash-b');
  const conflict = await refused('greeter', 'shouter');
  expect(conflict).toMatch(/greeter@1.* shouter@1 can't be in one env: .*greeter.*shouter/s);
  const both = await refused('clash-a', 'clash-b');
  expect(both).toMatch(
    /clash-a@1 and clash-b@1 can't be in one env: package clash-a .* clash-b .* both have \/usr\/share\/clash\/file/,
  );
});

test('an app for another base is refused, and imported apps have no composition', async () => {
  await have('greeter');
  const plain = apps.root.directory('plain');
  writeFileSync(path.join(plain, 'file'), 'x');
  await apps.root.import('other-os', plain);
  await apps.root.import('plain-a', plain, 'app');
  await apps.root.import('plain-b', plain, 'app');
  const { code, stderr } = await apps.root.byref(
    'create',
    'x',
    '--os',
    'other-os',
    '--app',
    'greeter',
  );
  expect([code, stderr]).toEqual([
    7,
    expect.stringContaining('greeter is an app for tiny, not for other-os'),
  ]);
  const before = await compositions();
  const env = await apps.env('plain', 'plain-a', 'plain-b');
  expect(await env.run('cat /file')).toBe('x');
  expect(await compositions()).toBe(before);
});

test("the loader's cache has the libraries of all apps", async () => {
  await have('one', 'two');
  const env = await apps.env('libraries', 'one', 'two');
  const cache = await env.run('ldconfig -p');
  expect(cache).toMatch(/libone\.so\.1 .*=> \/opt\/one\//);
  expect(cache).toMatch(/libtwo\.so\.1 .*=> \/opt\/two\//);
  expect(await env.run('cmp /etc/ld.so.cache - </etc/ld.so.cache; ldconfig; ldconfig -p')).toBe(
    cache,
  );
  expect(await env.packages()).toEqual(['one 1.0', 'two 1.0']);
});

test('a stack is composed once, also over versions of its templates', async () => {
  await have('userful', 'greeter');
  await apps.env('once', 'userful', 'greeter');
  const once = await compositions();
  await apps.env('twice', 'userful', 'greeter');
  expect(await compositions()).toBe(once);
  await systems.during(
    () => systems.repo.add(greeter['1.1']),
    () => systems.repo.remove('greeter', '1.1'),
  );
  await apps.root.ok('template', 'update', 'greeter');
  const newer = await apps.env('newer', 'userful', 'greeter@2');
  expect(await newer.run('greet')).toBe('hello, world (1.1)\n');
  expect(await newer.packages()).toContain('greeter 1.1');
  await apps.env('older', 'userful', 'greeter@1');
  expect(await compositions()).toBe(once + 1);
});

test('two apps with other versions of a package: the upper one counts, and a note says so', async () => {
  await have('greeter');
  await systems.during(
    () => systems.repo.add(greeter['1.2']),
    () => systems.repo.remove('greeter', '1.2'),
  );
  await apps.build('greeter-and-more', ['greeter', 'linked']);
  const env = await apps.env('upper', 'greeter@1', 'greeter-and-more');
  expect(env.notes).toContain(
    'greeter@1 and greeter-and-more@1 have other versions of greeter; that of greeter-and-more@1, which is on top, counts',
  );
  expect(await env.packages()).toEqual(['greeter 1.2', 'greeter-data 1.0', 'linked 1.0']);
  expect(await env.complaints()).toBe('');
  const lower = await apps.env('lower', 'greeter-and-more', 'greeter@1');
  expect(await lower.run('greet')).toBe('hello, world (1.0)\n');
  expect(await lower.complaints()).toBe('');
});
