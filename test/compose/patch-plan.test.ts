import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchPlan } from '../../src/manager/rollout/plan.ts';
import { writeBuiltSystem } from '../support/packages/built-system.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { type PatchedApps, PatchStock } from '../support/packages/patch-stock.ts';
import { tinyPackages } from '../support/packages/tiny-os.ts';

/** What is said of apps before the OS below them gets another version. */
let stock: PatchStock;
let t: PatchedApps;

/** Can't be on the tiny system without a newer tiny-accounts. */
const needy: DebDescription = {
  name: 'needy',
  version: '1.0',
  arch: 'all',
  depends: ['tiny-accounts (>= 1.1)'],
  files: { '/usr/share/needy/file': 'needy\n' },
};

const accounts = async (version: string): Promise<DebDescription> => {
  const deb = (await tinyPackages())['tiny-accounts']!;
  const files = { ...deb.files, '/usr/share/accounts/version': `${version}\n` };
  return { ...deb, version, files };
};

beforeAll(async () => {
  stock = await PatchStock.create();
});
beforeEach(async () => {
  t = await stock.copy();
});
afterEach(() => t.dispose());
afterAll(() => stock.dispose());

async function planOf(...words: string[]): Promise<{ text: string; plan: PatchPlan }> {
  const text = await t.root.byref('patch', 'tiny', '--check', ...words);
  const json = await t.root.byref('patch', 'tiny', '--check', '--json', ...words);
  expect([text.code, json.code], text.stderr + json.stderr).toEqual([EXIT.pending, EXIT.pending]);
  return { text: text.stdout, plan: JSON.parse(json.stdout) as PatchPlan };
}

test('apps that are kept', async () => {
  await t.apps.create('one', 'userful');
  await t.apps.create('two', 'userful2', 'greeter');
  await t.apps.create('pinned', 'userful');
  await t.root.ok('pin', 'pinned', 'tiny@1');
  await t.stageNewer();
  const before = await t.compositions();
  const { text, plan } = await planOf();
  for (const app of ['userful', 'userful2', 'greeter']) {
    expect(text).toContain(`app ${app}@1 is kept (built on tiny@1)\n`);
  }
  const kept = { version: 1, builtOn: 1, packages: [], paths: [] };
  expect(plan.apps).toMatchObject([
    { app: 'greeter', ...kept },
    { app: 'userful', ...kept },
    { app: 'userful2', ...kept },
  ]);
  expect(await t.compositions()).toEqual(before);
});

test('registry files that will be merged are told before the stacks are composed', async () => {
  const own = 'useradd alice; apt-get update; apt-get install --yes configful';
  await (await t.apps.env('one', 'userful')).run(own);
  await (await t.apps.env('two', 'userful2', 'greeter')).run(own);
  await t.apps.env('three', 'userful2', 'greeter');
  await t.stageNewer();
  const first = await planOf();
  const accounts = ['group', 'gshadow', 'passwd', 'shadow'].map((name) => `/etc/${name}`);
  const merged = [...accounts, '/var/lib/dpkg/status'].map((path) => {
    return { kind: 'C', path, state: 'private', action: 'merge' };
  });
  expect(first.plan.envs.map(({ names }) => names)).toEqual([merged, merged, []]);
  const { envs } = await t.patch('tiny');
  const acts = envs.map((env) => env.acts.map(({ what, path }) => `${what} ${path}`).sort());
  const wanted = merged.map(
    ({ path }) => `${path.startsWith('/etc') ? 'merged' : 'updated'} ${path}`,
  );
  expect(acts).toEqual([wanted, wanted, []]);
  await t.rollback('tiny');
  // Now the compositions are there.
  const again = await planOf('--to', '2');
  expect(again.plan.envs.map(({ names }) => names)).toEqual([merged, merged, []]);
});

test('an app with its own version of a package of the base is to be built again', async () => {
  await stock.systems.publishing([await accounts('1.1'), needy], () =>
    t.apps.build('needy', ['needy']),
  );
  const env = await t.apps.env('e', 'userful', 'needy');
  const look = (): Promise<string> =>
    env.run('dpkg-query -W tiny-accounts needy; cat /usr/share/accounts/version; id -un');
  const of = (version: string): string =>
    `needy\t1.0\ntiny-accounts\t${version}\n${version}\nroot\n`;
  expect(await look()).toBe(of('1.1'));
  expect(await env.complaints()).toBe('');
  const archive = path.join(t.root.base, 'tiny-accounts.tar');
  await writeBuiltSystem(stock.systems, archive, [await accounts('1.2')]);
  await t.root.import('tiny', archive);

  const { text, plan } = await planOf();
  expect(text).toContain('app userful@1 is kept (built on tiny@1)\n');
  expect(text).toContain(
    'app needy@1 is kept for now, and is to be built again: it has its own tiny-accounts 1.1, where tiny@2 has 1.2: byref template update needy --on 2\n',
  );
  expect(plan.apps[0]).toMatchObject({
    app: 'needy',
    builtOn: 1,
    packages: [{ name: 'tiny-accounts', own: '1.1', base: '1.2' }],
    staged: null,
  });

  await stock.systems.publishing([await accounts('1.2'), needy], () =>
    t.root.ok('template', 'update', 'needy', '--on', '2'),
  );
  const log = await t.root.json<{ number: number; state: string }[]>('template', 'log', 'needy');
  expect(log[0]).toMatchObject({ number: 2, state: 'staged' });
  const again = await planOf();
  expect(again.text).toContain(
    'app needy@1 is kept for now; needy@2, built on tiny@2, is staged: byref patch needy after this\n',
  );
  expect(again.plan.apps[0]).toMatchObject({ app: 'needy', staged: 2 });

  await t.patch('tiny');
  expect(await look()).toBe(of('1.1'));
  expect(await env.complaints()).toBe('');
  await t.patch('needy');
  expect(await look()).toBe(of('1.2'));
  expect(await env.complaints()).toBe('');
  await t.rollback('needy');
  await t.rollback('tiny');
  expect(await look()).toBe(of('1.1'));
  expect(await env.complaints()).toBe('');
  await t.patch('tiny', '--to', '2');
  await t.patch('needy', '--to', '2');
  await t.stageNewer();
  const third = await planOf();
  expect(third.text).toContain('app needy@2 is kept (built on tiny@2)\n');
});
