/** A file goes from one package to another, of which one is the env's own: as `Replaces` has it on a plain system. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let t: PackageRoot;
let env: PackageEnv;
let plain: PackageEnv;

const packageOf = (
  name: string,
  version: string,
  paths: readonly string[],
  replaces: readonly string[] = [],
): DebDescription => ({
  name,
  version,
  arch: 'all',
  replaces,
  files: Object.fromEntries(paths.map((path) => [path, `${path} of ${name} ${version}\n`])),
});

/** From version 2 on it has not alpha's program, but beta. */
const DEBS = [
  packageOf('alpha', '1.0', ['/usr/bin/alpha', '/usr/bin/moved']),
  packageOf('alpha', '1.5', ['/usr/bin/alpha', '/usr/bin/moved']),
  packageOf('alpha', '2.0', ['/usr/bin/alpha']),
  packageOf('beta', '1.0', ['/usr/bin/beta', '/usr/bin/beta-too']),
  packageOf('beta', '2.0', ['/usr/bin/beta', '/usr/bin/moved'], ['alpha (<< 2.0)']),
  packageOf('beta', '3.0', ['/usr/bin/beta', '/usr/bin/moved']),
  packageOf('beta', '4.0', ['/usr/bin/beta', '/usr/bin/beta-too', '/usr/bin/given'], ['gamma']),
  packageOf('gamma', '1.0', ['/usr/bin/gamma', '/usr/bin/given']),
  packageOf('taker', '1.0', ['/usr/bin/beta-too', '/usr/bin/given'], ['beta']),
];

beforeAll(async () => {
  systems = await TinySystems.create();
});
beforeEach(async () => {
  t = await PackageRoot.create(systems, DEBS, 'dpkg -i alpha_1.0_all.deb beta_1.0_all.deb');
  env = await t.env('e');
  plain = await t.plain();
});
afterEach(() => t.dispose());
afterAll(() => systems.dispose());

const both = (script: string) => Promise.all([env.run(script), plain.run(script)]);

const moves = 'dpkg -i alpha_2.0_all.deb beta_2.0_all.deb';

async function expectSame(): Promise<void> {
  expect(await env.truth()).toBe(await plain.truth());
  const lists = 'cd /var/lib/dpkg/info; grep . alpha.list beta.list gamma.list 2>/dev/null | sort';
  expect(await env.run(lists)).toBe(await plain.run(lists));
  expect(await env.tree('/usr/bin')).toBe(await plain.tree('/usr/bin'));
  expect(await t.root.findings()).toEqual([]);
}

let turns = 0;
beforeEach(() => {
  turns = 0;
});

/** Every other move of the env is made while it is not mounted, the first one too. */
const during = <T>(work: () => Promise<T>): Promise<T> => t.without('e', turns++ % 2 === 0, work);

test('a package that an env holds loses a file that is replaced', async () => {
  await both('echo alpha hold | dpkg --set-selections');
  await during(() => t.patch(moves));
  await plain.run('dpkg -i beta_2.0_all.deb');
  await expectSame();
  expect(await env.run('cat /usr/bin/moved')).toBe('/usr/bin/moved of beta 2.0\n');
  // The hold is lifted.
  await both('echo alpha install | dpkg --set-selections');
  await during(() => t.patch('dpkg -P tiny-none || :; echo 1 >/usr/share/other'));
  await plain.run('dpkg -i alpha_2.0_all.deb');
  await expectSame();
});

test('a package of an env’s own version loses it, too', async () => {
  await both('dpkg -i alpha_1.5_all.deb');
  await during(() => t.patch(moves));
  await plain.run('dpkg -i beta_2.0_all.deb');
  await expectSame();
});

test('a held package of an env is whole again after a rollback', async () => {
  await both('echo alpha hold | dpkg --set-selections');
  const before = await env.tree('/usr/bin');
  await during(() => t.patch(moves));
  await during(() => t.rollback());
  await expectSame();
  expect(await env.tree('/usr/bin')).toBe(before);
});

test('what goes to a package that an env does not have is not there', async () => {
  await both('dpkg -P beta');
  await during(() => t.patch(moves));
  await plain.run('dpkg -i alpha_2.0_all.deb');
  await expectSame();
  await during(() => t.rollback());
  await plain.run('dpkg -i alpha_1.0_all.deb');
  await expectSame();
});

test('a package that only the env has loses a file that is replaced', async () => {
  await both('dpkg -i gamma_1.0_all.deb');
  await during(() => t.patch('dpkg -i beta_4.0_all.deb'));
  await plain.run('dpkg -i beta_4.0_all.deb');
  await expectSame();
  expect(await env.run('cat /usr/bin/given')).toBe('/usr/bin/given of beta 4.0\n');
  await during(() => t.rollback());
  await plain.run('dpkg -i beta_1.0_all.deb');
  await expectSame();
});

test('a file that two packages have, and neither replaces the other, stays, and a plan says so', async () => {
  await both('echo alpha hold | dpkg --set-selections');
  await t.machine.run('cd /srv/debs; dpkg -i alpha_2.0_all.deb beta_3.0_all.deb');
  await t.stage();
  await expect(plain.run('dpkg -i beta_3.0_all.deb')).rejects.toThrow(
    /trying to overwrite '\/usr\/bin\/moved'/,
  );
  const { stdout } = await t.root.byref('patch', 't', '--check');
  expect(stdout).toContain(
    'unlike dpkg: /usr/bin/moved: stays as alpha 1.0 has it; dpkg would refuse to unpack beta 3.0,',
  );
  await during(() => t.root.ok('patch', 't'));
  expect(await env.run('cat /usr/bin/moved /usr/bin/beta')).toBe(
    '/usr/bin/moved of alpha 1.0\n/usr/bin/beta of beta 3.0\n',
  );
});

test('a file that a package of the env’s own has replaced stays, and a plan says so', async () => {
  await both('dpkg -i taker_1.0_all.deb');
  await t.machine.run('cd /srv/debs; dpkg -i beta_4.0_all.deb');
  await t.stage();
  const { stdout } = await t.root.byref('patch', 't', '--check');
  // dpkg's lock files have the template's bytes and attributes.
  expect(stdout).not.toContain('attributes only ()');
  expect(stdout.match(/unlike dpkg: .*/g)).toEqual([
    expect.stringContaining('/usr/bin/given: stays as taker 1.0 has it, which replaces beta 4.0;'),
  ]);
  await during(() => t.root.ok('patch', 't'));
  await plain.run('dpkg -i beta_4.0_all.deb');
  expect(await env.tree('/usr/bin')).toBe(await plain.tree('/usr/bin'));
  const list = 'grep --line-regexp --invert-match /usr/bin/given /var/lib/dpkg/info/beta.list';
  expect(await env.run(list)).toBe(await plain.run(list));
});
