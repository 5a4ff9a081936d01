/** What `byref fsck --packages` says of packages that do not fit together in an env. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { Finding } from '../../src/manager/upkeep/fsck/finding.ts';
import type { FsckResult } from '../../src/manager/upkeep/fsck/report.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PackageEnv, PackageRoot } from '../support/packages/package-root.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;
let t: PackageRoot;
let env: PackageEnv;

const deb = (name: string, version: string, depends: string[] = []): DebDescription => ({
  name,
  version,
  arch: 'all',
  files: { [`/usr/share/${name}/version`]: `${version}\n` },
  depends,
});

const DEBS = ['1', '2'].flatMap((version) => [
  deb('libx', version),
  deb('libx-dev', version, [`libx (= ${version}) | libx-compat (= ${version})`]),
  deb('app', version, [`libx (>= ${version})`]),
]);

beforeAll(async () => {
  systems = await TinySystems.create();
});
beforeEach(async () => {
  t = await PackageRoot.create(systems, DEBS, install('1', 'libx', 'app'));
  env = await t.env('e');
});
afterEach(() => t.dispose());
afterAll(() => systems.dispose());

const install = (version: string, ...names: string[]): string =>
  `dpkg -i ${names.map((name) => `${name}_${version}_all.deb`).join(' ')}`;

/** Makes a version by a script, and takes the env there whatever it needs. */
async function patch(script: string): Promise<number> {
  await t.machine.run(`cd /srv/debs; ${script}`);
  await t.stage();
  return (await t.root.byref('patch', 't', '--dependencies', 'follow')).code;
}

async function fsck(...options: string[]): Promise<{ code: number; findings: readonly Finding[] }> {
  const { code, stdout } = await t.root.byref('fsck', '--packages', '--json', ...options);
  return { code, findings: (JSON.parse(stdout) as FsckResult).findings };
}

/** What apt-get check says in the env itself. */
const checked = (): Promise<string> => env.run('apt-get -q check 2>&1 | grep " : " || :');

const UNMET =
  /no patch said so: libx-dev : Depends: libx \(= 2\) but 1 is installed or +libx-compat/;

test.each(['mounted', 'unmounted'])(
  'what was forced into a %s env is found, until it is put right',
  async (state) => {
    await env.run(`dpkg --force-depends -i libx-dev_2_all.deb`);
    expect(await checked()).toContain('libx-dev : Depends: libx (= 2)');
    const warning = {
      check: 'delta.dependencies',
      severity: 'warning',
      where: 'env e',
      what: expect.stringMatching(UNMET),
      remedy: expect.stringContaining('apt-get --fix-broken install'),
      repaired: false,
    };
    await t.without('e', state === 'unmounted', async () => {
      expect(await fsck()).toEqual({ code: EXIT.pending, findings: [warning] });
      // It is no damage: a repair leaves it, and nobody who does not ask is told.
      expect(await fsck('--repair')).toEqual({ code: EXIT.pending, findings: [warning] });
      expect(await t.root.findings()).toEqual([]);
    });
    const { stdout, code } = await t.root.byref('fsck', '--packages');
    expect(stdout).toMatch(/^warning env e: its packages do not fit together/);
    expect(stdout).toMatch(/: 0 errors, 1 warning, 0 leftovers; 0 repaired\n$/);
    expect(code).toBe(EXIT.pending);
    await env.run('dpkg --purge libx-dev');
    expect(await fsck()).toEqual({ code: EXIT.ok, findings: [] });
  },
);

test('what a patch said is no news, however many came after it', async () => {
  await env.run(install('1', 'libx-dev'));
  expect(await patch(install('2', 'libx'))).toBe(EXIT.pending);
  expect(await checked()).toContain('libx-dev : Depends: libx (= 1)');
  expect(await fsck()).toEqual({ code: EXIT.ok, findings: [] });
  expect(await patch(install('2', 'app'))).toBe(EXIT.ok);
  expect(await checked()).toContain('libx-dev : Depends: libx (= 1)');
  expect(await fsck()).toEqual({ code: EXIT.ok, findings: [] });
  // What comes beside it is.
  await env.run('dpkg --force-depends -i libx_1_all.deb');
  const { code, findings } = await fsck();
  expect(code).toBe(EXIT.pending);
  expect(findings).toMatchObject([{ what: expect.stringContaining('app : Depends: libx (>= 2)') }]);
});

test('what the template has so, its envs have so, too', async () => {
  expect(await patch('dpkg --force-depends -i app_2_all.deb')).toBe(EXIT.ok);
  // Its own, and apart from that.
  await env.run(install('1', 'libx-dev'));
  expect(await checked()).toContain('app : Depends: libx (>= 2)');
  expect(await fsck()).toEqual({ code: EXIT.ok, findings: [] });
});
