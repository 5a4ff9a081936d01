import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import { type PatchedApps, PatchStock } from '../support/packages/patch-stock.ts';
import type { TinyEnv } from '../support/packages/tiny-apps.ts';

/** Apps of composed envs get other versions, come and go. */
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

const GREETING = 'greet; dpkg-query -W greeter';
const of = (version: string): string => `hello, world (${version})\ngreeter\t${version}\n`;
const VERSION = 'dpkg-query -W tiny-base | cut -f2';

const own = async (env: TinyEnv): Promise<void> => {
  await env.run('apt-get update && apt-get install --yes configful; useradd --create-home alice');
};

test('a new version of an app: stacks that have it are composed; a bad one is taken back', async () => {
  const with1 = await t.apps.env('with', 'userful', 'greeter');
  const also = await t.apps.env('also', 'userful', 'greeter');
  await t.apps.env('without', 'userful', 'userful2');
  await own(also);
  const once = await t.compositions();
  expect(once).toHaveLength(2);
  await t.stageGreeter('1.1');
  expect(await t.patch('greeter')).toMatchObject({ state: 'done' });
  const twice = await t.compositions();
  expect(twice).toHaveLength(3);
  for (const env of [with1, also]) {
    expect(await env.run(GREETING)).toBe(of('1.1'));
    expect(await env.complaints()).toBe('');
  }
  await t.stageGreeter('1.2');
  const words = ['--canary', 'also', '--health', 'greet', '--health-retries', '0'];
  const { code, stderr } = await t.root.byref('patch', 'greeter', ...words);
  expect([code, stderr]).toEqual([EXIT.unhealthy, expect.stringContaining('unhealthy in also')]);
  for (const env of [with1, also]) {
    expect(await env.run(GREETING)).toBe(of('1.1'));
    expect(await env.complaints()).toBe('');
  }
  expect(await also.run('id -nu alice; dpkg-query -W configful')).toBe('alice\nconfigful\t1.0\n');
  expect(await t.compositions()).toEqual(expect.arrayContaining(twice));
  expect(await t.rollback('greeter')).toMatchObject({ state: 'done', to: 1 });
  for (const env of [with1, also]) expect(await env.run(GREETING)).toBe(of('1.0'));
});

test('an env is pinned to versions of an app and of the OS, and follows again', async () => {
  const env = await t.apps.env('e', 'userful', 'greeter');
  await own(env);
  const accounts = 'getent passwd alice based userful | cut -d: -f1 || :';
  await t.stageGreeter('1.1');
  await t.patch('greeter');
  await t.stageNewer();
  await t.patch('tiny');
  const look = async (): Promise<string> => {
    expect(await env.complaints()).toBe('');
    return env.run(`${GREETING}; ${VERSION}; dpkg-query -W configful; ${accounts}`);
  };
  const rest = (base: string, users: string): string => `${base}\nconfigful\t1.0\n${users}\n`;
  const newer = rest('1.1', 'alice\nbased\nuserful');
  const older = rest('1.0', 'alice\nuserful');
  expect(await look()).toBe(of('1.1') + newer);
  await t.root.ok('pin', 'e', 'greeter@1');
  expect(await look()).toBe(of('1.0') + newer);
  await t.root.ok('pin', 'e', 'tiny@1');
  expect(await look()).toBe(of('1.0') + older);
  await t.root.ok('follow', 'e', 'greeter');
  expect(await look()).toBe(of('1.1') + older);
  await t.root.ok('follow', 'e', 'tiny');
  expect(await look()).toBe(of('1.1') + newer);
  // The version that was patched first goes back first.
  await t.rollback('greeter');
  expect(await look()).toBe(of('1.0') + newer);
  await t.rollback('tiny');
  expect(await look()).toBe(of('1.0') + older);
  expect(await t.root.findings()).toEqual([]);
});

test('gc: compositions that no env can come to go, those of a rollback stay', async () => {
  await t.apps.env('stays', 'userful', 'greeter');
  await t.apps.create('goes', 'userful2', 'greeter');
  const [stays, goes] = await t.compositions();
  await t.stageNewer();
  await t.patch('tiny');
  expect(await t.compositions()).toHaveLength(4);
  await t.root.ok('gc');
  expect(await t.compositions()).toHaveLength(4);
  await t.root.ok('destroy', 'goes');
  await t.root.ok('gc');
  const left = await t.compositions();
  expect(left).toHaveLength(2);
  expect(left).toContain(stays);
  expect(left).not.toContain(goes);
  await t.rollback('tiny');
  expect(await t.compositions()).toEqual(left);
  expect(await t.root.findings()).toEqual([]);
});

test('template rm: an app that only a composition has, and a base that an app was installed on', async () => {
  await t.apps.env('stays', 'userful', 'greeter');
  await t.apps.create('goes', 'userful', 'userful2');
  await t.root.ok('destroy', 'goes');
  expect(await t.compositions()).toHaveLength(2);
  await t.root.ok('template', 'rm', 'userful2');
  expect(await t.compositions()).toHaveLength(1);
  await t.stageNewer();
  await t.patch('tiny');
  const { code, stderr } = await t.root.byref('template', 'rm', 'tiny@1', '--force');
  expect(code).toBe(EXIT.busy);
  expect(stderr).toMatch(/tiny@1 .*(userful|greeter)@1/);
  expect(await t.root.findings()).toEqual([]);
  // An app of which a version is removed that only a composition has.
  await t.stageGreeter('1.1');
  await t.patch('greeter');
  await t.root.ok('template', 'rm', 'greeter@1', '--force');
  expect(await t.compositions()).toHaveLength(1);
  expect(await t.root.findings()).toEqual([]);
});

test.each([['mounted'], ['unmounted']])(
  'apps come to a %s env that has packages and users of its own, and go',
  async (place) => {
    const env = await t.apps.env('e', 'userful');
    await own(env);
    const look = async (): Promise<string> => {
      if (place === 'unmounted') await t.root.mount('e');
      expect(await env.complaints()).toBe('');
      const accounts = 'getent passwd | cut -d: -f1,3 | sort';
      const seen = `${(await env.packages()).join()} ${await env.run(`${accounts}; id -un alice`)}`;
      if (place === 'unmounted') await t.root.umount('e');
      return seen;
    };
    if (place === 'unmounted') await t.root.umount('e');
    const before = await look();
    const added = await t.root.json<PatchRecord>('app', 'add', 'e', 'userful2', 'greeter');
    expect(added).toMatchObject({ state: 'done' });
    const after = await look();
    expect(after).toContain('configful 1.0,greeter 1.0,greeter-data 1.0,userful 1.0,userful2 1.0');
    expect(after).toContain('\nuserful2:');
    await t.root.ok('app', 'remove', 'e', 'userful2');
    expect(await look()).toBe(
      before.replace('configful 1.0,', 'configful 1.0,greeter 1.0,greeter-data 1.0,'),
    );
    await t.root.ok('app', 'remove', 'e', 'greeter', 'userful');
    expect(await look()).toBe(before.replace(',userful 1.0', '').replace(/userful:\d+\n/, ''));
    expect(await t.root.findings()).toEqual([]);
  },
);
