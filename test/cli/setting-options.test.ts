/** Settings by options, profiles and files of envs: each is KEY=VALUE in other words. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvConfig } from '../../src/services/env-config.ts';
import type { Profile } from '../../src/services/profiles.ts';
import { TREE } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
const own = mkdtempSync(path.join(tmpdir(), 'byref-profiles-'));

beforeAll(async () => {
  root = await TestRoot.create({ BYREF_PROFILES: own });
  await root.ok('template', 'import', 't', root.directory('source'), '--kind', 'os');
});
afterAll(async () => {
  await root.dispose();
  rmSync(own, { recursive: true });
});

let count = 0;
/** Makes an env; returns its settings. */
async function created(...options: string[]): Promise<Readonly<Record<string, string>>> {
  const name = `env${++count}`;
  await root.ok('create', name, '--os', 't', ...options);
  return (await root.info(name)).settings;
}

const profile = (name: string, text: string): void =>
  writeFileSync(path.join(own, `${name}.yaml`), text);

test('words of vzctl and Docker are options of create and set', async () => {
  const words = ['--ram', '512M', '--cpus', '2', '--numproc=50', '--iolimit', '8M'];
  const settings = {
    'limits.memory': '512MiB',
    'limits.cpu': '2',
    'limits.processes': '50',
    'limits.io.read': '8MiB',
    'limits.io.write': '8MiB',
  };
  expect(await created(...words)).toEqual(settings);
  expect(await created()).toEqual({});
  await root.ok('set', `env${count}`, ...words, '--save');
  expect((await root.info(`env${count}`)).settings).toEqual(settings);
  await root.ok('set', `env${count}`, '--cpuset-cpus', '0', 'limits.memory=');
  expect((await root.info(`env${count}`)).settings).toMatchObject({ 'limits.cpu.set': '0' });
  expect(await root.byref('set', `env${count}`)).toMatchObject({ code: EXIT.usage });
  expect(await root.byref('set', `env${count}`, '--ram', 'x')).toMatchObject({ code: EXIT.usage });
});

test('a profile sets several things, and what is given beside it counts more', async () => {
  const small = await created('--config', 'small');
  expect(small['limits.memory']).toBe('256MiB');
  expect(await created('--config', 'small', '--ram', '1G')).toEqual({
    ...small,
    'limits.memory': '1GiB',
  });
  expect(await created('--config', 'small', '--set', 'limits.memory=')).not.toHaveProperty(
    'limits.memory',
  );
});

test('the administrator has profiles of his own, which count more', async () => {
  const names = async (): Promise<string[]> =>
    (await root.json<Profile[]>('profile', 'list')).map(({ name }) => name);
  const shipped = readdirSync(path.join(TREE, 'profiles')).map((file) => path.parse(file).name);
  expect(await names()).toEqual(shipped.sort());
  profile('worker', 'description: a worker\nsettings: {ram: 64MiB, environment.LANG: C}\n');
  profile('small', 'settings:\n  limits.cpu: 1\n');
  expect(await names()).toEqual([...shipped, 'worker'].sort());
  expect(await created('--config', 'worker')).toEqual({
    'limits.memory': '64MiB',
    'environment.LANG': 'C',
  });
  expect(await created('--config', 'small')).toEqual({ 'limits.cpu': '1' });
  rmSync(path.join(own, 'small.yaml'));
});

test('one that does not exist, or has mistakes, is refused', async () => {
  const unknown = await root.byref('create', 'x', '--os', 't', '--config', 'huge');
  expect(unknown).toMatchObject({ code: EXIT.notFound });
  expect(unknown.stderr).toContain('large, medium, small');
  profile('bad', 'settings:\n  limits.cpu: many\n  limits.sped: 1\nsetting: 1\n');
  const { code, stderr } = await root.byref('create', 'x', '--os', 't', '--config', 'bad');
  expect(code).toBe(EXIT.badInput);
  expect(stderr).toContain('bad.yaml:1: settings: limits.cpu can\'t be "many"');
  expect(stderr).toContain('there is no key "limits.sped"');
  expect(stderr).toContain('bad.yaml:4: setting: no such field');
  rmSync(path.join(own, 'bad.yaml'));
});

test('the file of an env makes another one like it', async () => {
  await root.ok('template', 'import', 'app', root.directory('source'), '--kind', 'app');
  const options = [
    '--ram',
    '128M',
    '--set',
    'ports=8080:80,53:53/udp',
    '--set',
    'init=sh -c "a b"',
  ];
  await root.ok(
    'create',
    'first',
    '--os',
    't@1',
    '--app',
    'app',
    '--set',
    'environment.A=b c',
    ...options,
  );
  const file = path.join(root.base, 'first.yaml');
  writeFileSync(file, await root.ok('info', 'first', '--config'));
  await root.ok('create', 'second', '--from-config', file);
  const config = await root.json<EnvConfig>('info', 'first', '--config');
  expect(config).toEqual({
    name: 'first',
    os: 't@1',
    apps: ['app'],
    settings: { 'limits.memory': '128MiB', init: "sh -c 'a b'" },
    environment: { A: 'b c' },
    ports: ['8080:80', '53:53/udp'],
    volumes: [],
    binds: [],
    tmpfs: [],
    devices: [],
    'refuse-needs': false,
  });
  expect(await root.json('info', 'second', '--config')).toEqual({ ...config, name: 'second' });
});

test('in a file, a profile counts less than settings, and the command line more', async () => {
  const file = path.join(root.base, 'env.yaml');
  writeFileSync(file, 'name: filed\nos: t\nprofile: medium\nsettings: {limits.cpu: 3}\n');
  await root.ok('create', '--from-config', file, '--ram', '3G');
  expect((await root.info('filed')).settings).toMatchObject({
    'limits.cpu': '3',
    'limits.memory': '3GiB',
  });
});

test.each([
  ['no name', 'os: t\n', EXIT.usage],
  ['no template', 'name: x\n', EXIT.usage],
  ['a field that does not exist', 'name: x\nos: t\nram: 1\n', EXIT.badInput],
  ['a setting that is refused', 'name: x\nos: t\nsettings: {limits.cpu: -1}\n', EXIT.badInput],
  ['a port that is none', 'name: x\nos: t\nports: [a]\n', EXIT.badInput],
  ['a profile that does not exist', 'name: x\nos: t\nprofile: none\n', EXIT.notFound],
])('a file with %s is refused', async (_, text, code) => {
  const file = path.join(root.base, 'bad.yaml');
  writeFileSync(file, text);
  expect(await root.byref('create', '--from-config', file)).toMatchObject({ code });
  expect(await root.byref('info', 'x')).toMatchObject({ code: EXIT.notFound });
});
