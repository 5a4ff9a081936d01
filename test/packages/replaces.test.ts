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
  packageOf('beta', '1.0', ['/usr/bin/beta']),
  packageOf('beta', '2.0', ['/usr/bin/beta', '/usr/bin/moved'], ['alpha (<< 2.0)']),
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
  const lists = 'cd /var/lib/dpkg/info; grep . alpha.list beta.list 2>&1 | sort';
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
