import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { BASED, NEWER, type PatchedApps, PatchStock } from '../support/packages/patch-stock.ts';
import type { TinyEnv } from '../support/packages/tiny-apps.ts';

/** The OS template below composed envs gets another version. */
let stock: PatchStock;
let t: PatchedApps;

beforeAll(async () => {
  stock = await PatchStock.create();
});
beforeEach(async () => {
  t = await stock.copy();
});
afterEach(() => t.dispose());
afterAll(() => stock.dispose());

const ONE = ['userful'];
const THREE = ['userful', 'userful2', 'greeter'];
/** Their apps, and what each env has of its own: a user, packages. */
const ENVS = {
  plain: { apps: ONE, users: [], packages: [] },
  people: { apps: ONE, users: ['alice'], packages: [] },
  big: { apps: THREE, users: [], packages: [] },
  installed: { apps: THREE, users: [], packages: ['configful 1.0', 'linked 1.0'] },
} as const;
type EnvName = keyof typeof ENVS;
const NAMES = Object.keys(ENVS) as EnvName[];
const PRIVATE: readonly EnvName[] = ['people', 'installed'];

/** Two of them are mounted: those that have something of their own, or the others. */
async function makeEnvs(mounted: readonly EnvName[]): Promise<void> {
  for (const [name, { apps }] of Object.entries(ENVS)) {
    expect((await t.apps.create(name, ...apps)).code).toBe(0);
  }
  await (await t.mounted('people')).run('useradd --create-home alice');
  await (await t.mounted('installed')).run(
    'apt-get update && apt-get install --yes configful linked',
  );
  await t.root.umount('people', 'installed');
  for (const name of mounted) await t.mounted(name);
}

const ACCOUNTS = 'getent passwd | cut -d: -f1,3,4; getent group | cut -d: -f1,3';

async function look(env: TinyEnv): Promise<string> {
  expect(await env.complaints()).toBe('');
  const accounts = await env.run(`{ ${ACCOUNTS}; } | sort`);
  return [
    ...(await env.packages()),
    await env.run('dpkg-query -W tiny-base; cat /etc/debian_version; ls /usr/share/new || :'),
    accounts,
    await env.run('tail -qn +1 /etc/shadow /etc/gshadow | cut -d: -f1 | sort | uniq -c'),
    await env.run('stat -c "%n %U:%G" /var/lib/userful /home/alice 2>/dev/null || :'),
  ].join('\n');
}

/** What each env shows; those that are not mounted are for that long. */
async function lookAtAll(mounted: readonly EnvName[]): Promise<Record<string, string>> {
  const seen: Record<string, string> = {};
  for (const name of NAMES) {
    seen[name] = await look(await t.mounted(name));
    if (!mounted.includes(name)) await t.root.umount(name);
  }
  return seen;
}

/** Goes on until something in the env is not as it was before or will be after, and says so; the returned function ends it. */
function startReader(env: string, needed: readonly string[]): () => Promise<void> {
  const said = path.join(t.root.base, `reader-of-${env}`);
  writeFileSync(said, '');
  const script = `
cd "$1"
bad() { printf '%s\\n' "$*" >>"$2"; exit 1; }
while :; do
  all=$(chroot . dpkg-query -W -f '\${Package}=\${Version}\\n') || bad "dpkg: $?" "$2"
  case $all in *tiny-base=1.[01]*) ;; *) bad "packages: $all" "$2" ;; esac
  for each in $3; do
    case $all in *"$each="*) ;; *) bad "no $each in $all" "$2" ;; esac
  done
  who=$(chroot . getent passwd) || bad "getent: $?" "$2"
  case $who in root:*userful:*) ;; *) bad "accounts: $who" "$2" ;; esac
  for file in passwd group shadow gshadow; do [ -s etc/$file ] || bad "empty $file" "$2"; done
done 2>>"$2"`;
  const mountpoint = path.join(t.root.path, 'mnt', env);
  const child = t.root.background(script, mountpoint, said, needed.join(' '));
  return async () => {
    expect(readFileSync(said, 'utf8')).toBe('');
    expect(child.exitCode).toBeNull();
    process.kill(-child.pid!, 'SIGKILL');
    await once(child, 'exit');
  };
}

test.each([
  ['with', PRIVATE],
  ['without', NAMES.filter((name) => !PRIVATE.includes(name))],
] as const)(
  'a new OS version: the distinct stacks are composed, envs %s something of their own mounted',
  async (_, mounted) => {
    await makeEnvs(mounted);
    const before = await lookAtAll(mounted);
    for (const name of NAMES) expect(before[name]).toContain('tiny-base\t1.0\ntiny\n');
    const once = await t.compositions();
    expect(once).toHaveLength(1);
    await t.stageNewer();
    const check = mounted.map((name) => startReader(name, THREE.slice(0, ENVS[name].apps.length)));
    const record = await t.patch('tiny');
    expect(record).toMatchObject({ state: 'done', all: true });
    expect(record.envs.map(({ error }) => error)).toEqual(NAMES.map(() => null));
    expect((await t.compositions()).filter((name) => !once.includes(name))).toHaveLength(2);
    const after = await lookAtAll(mounted);
    for (const name of NAMES) {
      const { apps, packages, users } = ENVS[name];
      const seen = after[name]!;
      expect(seen, name).toContain(`tiny-base\t${NEWER}\ntiny 2\n/usr/share/new\n`);
      expect(seen.split('\n').filter((line) => / 1\.0$/.test(line))).toEqual(
        expect.arrayContaining([...apps.map((app) => `${app} 1.0`), ...packages]),
      );
      for (const user of ['root', 'based', ...users]) expect(seen).toContain(`\n${user}:`);
    }
    expect(await t.root.findings()).toEqual([]);
    await t.rollback('tiny');
    expect(await lookAtAll(mounted)).toEqual(before);
    for (const fine of check) await fine();
    expect((await t.compositions()).length).toBe(3);
    // There is nothing to compose any more.
    await t.patch('tiny', '--to', '2');
    expect(await lookAtAll(mounted)).toEqual(after);
    expect((await t.compositions()).length).toBe(3);
    expect(await t.root.findings()).toEqual([]);
  },
);

test('what an env installs after the patch stays over a rollback, and what it had before', async () => {
  await makeEnvs(PRIVATE);
  await t.stageNewer();
  await t.patch('tiny');
  for (const name of ['plain', 'installed'] as const) {
    const env = await t.mounted(name);
    await env.run('apt-get update && apt-get install --yes diverter && useradd --system late');
    expect(await env.complaints()).toBe('');
  }
  await t.rollback('tiny');
  for (const name of ['plain', 'installed'] as const) {
    const env = await t.mounted(name);
    expect(await env.complaints()).toBe('');
    const own = [...ENVS[name].packages, 'diverter 1.0'];
    expect(await env.packages()).toEqual(expect.arrayContaining(own));
    expect(await env.run('dpkg-query -W tiny-base; cat /etc/debian_version')).toBe(
      'tiny-base\t1.0\ntiny\n',
    );
    expect(await env.run('getent passwd based late userful | cut -d: -f1 || :')).toBe(
      'late\nuserful\n',
    );
    expect(await env.run('whoami')).toBe('diverted root\n');
  }
});

test('a user of the env that has the number of a new one: said, and nothing is renumbered', async () => {
  await makeEnvs([]);
  const env = await t.mounted('plain');
  await env.run(`groupadd --gid ${BASED} own; useradd --uid ${BASED} --gid own own`);
  await t.stageNewer();
  const { envs } = await t.patch('tiny');
  const whys = envs.flatMap(({ acts }) =>
    acts.flatMap(({ path, why }) => (why ? [`${path}: ${why}`] : [])),
  );
  expect(whys.sort()).toEqual([
    `/etc/group: groups own and based both have number ${BASED}`,
    `/etc/passwd: users own and based both have number ${BASED}`,
  ]);
  expect(await env.run('getent passwd own based | cut -d: -f1,3')).toBe('own:150\nbased:150\n');
});
