/** Devices and capabilities that an env is given, by itself or since its template says so. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvConfig } from '../../src/services/env-config.ts';
import type { TemplateDetails } from '../../src/services/show-template.ts';
import { RunRoot } from './run-root.ts';

let r: RunRoot;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
});
afterAll(() => r.dispose());

const NET_ADMIN = 12;

/** True if root of the env has a capability. */
async function has(env: string, capability: number): Promise<boolean> {
  const status = await r.exec(env, 'grep CapEff /proc/self/status');
  return ((BigInt(`0x${status.split(/\s+/)[1]}`) >> BigInt(capability)) & 1n) === 1n;
}

const opens = async (env: string, how: string): Promise<boolean> =>
  (await r.root.byref('exec', env, '--', 'bash', '-c', `exec 3${how}`)).code === 0;

test('an env has the devices that are set for it, for what is set, and no other', async () => {
  await r.root.ok('create', 'dev', '--os', 'tiny', '--device', '/dev/fuse:r');
  await r.root.ok('start', 'dev');
  expect(await r.exec('dev', 'stat -c "%F %u" /dev/fuse')).toBe('character special file 0\n');
  expect(await opens('dev', '</dev/fuse')).toBe(true);
  expect(await opens('dev', '<>/dev/fuse')).toBe(false);
  expect(await has('dev', NET_ADMIN)).toBe(false);
  await r.root.ok('set', 'dev', 'devices=/dev/fuse', 'capabilities=net_admin');
  await r.root.ok('restart', 'dev');
  expect(await opens('dev', '<>/dev/fuse')).toBe(true);
  expect(await has('dev', NET_ADMIN)).toBe(true);
  expect((await r.root.byref('exec', 'dev', '--', 'mknod', '/n', 'c', '10', '229')).code).not.toBe(
    0,
  );
  await r.root.ok('set', 'dev', 'devices=', 'capabilities=');
  await r.root.ok('restart', 'dev');
  expect(await opens('dev', '</dev/fuse')).toBe(false);
});

test.each([
  ['--device', '/etc/passwd', EXIT.usage],
  ['--device', '/dev/../etc/passwd', EXIT.usage],
  ['--device', '/dev/fd', EXIT.badInput],
  ['--device', '/dev/nothing', EXIT.badInput],
  ['--device', '/dev/fuse:x', EXIT.usage],
  ['--cap-add', 'SYS_ADMIN', EXIT.usage],
  ['--cap-add', 'NOTHING', EXIT.usage],
])('%s %s is refused', async (option, value, code) => {
  const { code: actual } = await r.root.byref('create', 'no', '--os', 'tiny', option, value);
  expect(actual).toBe(code);
});

test('the disk with the store is refused', async () => {
  const { stdout } = await r.root.shell('findmnt -nvo SOURCE --target "$BYREF_ROOT"', '/');
  const disk = stdout.trim();
  expect(disk).toMatch(/^\/dev\//);
  const refused = await r.root.byref('create', 'no', '--os', 'tiny', '--device', disk);
  expect(refused).toMatchObject({ code: EXIT.usage });
  expect(refused.stderr).toContain('files of the machine');
});

const NEEDS = `
capabilities: [NET_ADMIN]
devices: [/dev/fuse]
ports: [80]
volumes: [/var/lib/app]
tmpfs: [/run/app:1MiB]
environment: [LANG=C.UTF-8]
init: sleep infinity
`;

const AS_SETTINGS = {
  capabilities: 'NET_ADMIN',
  devices: '/dev/fuse',
  tmpfs: '/run/app:1MiB',
  'environment.LANG': 'C.UTF-8',
  init: 'sleep infinity',
};

/** Imports a template that needs something. */
async function needing(name: string, needs: string): Promise<void> {
  const file = path.join(r.root.base, `${name}.yaml`);
  writeFileSync(file, needs);
  await r.root.ok(
    'template',
    'import',
    name,
    r.root.directory('empty'),
    '--kind',
    'app',
    '--needs',
    file,
  );
}

test('a new env gets what its templates need, and starts with it', async () => {
  await needing('app', NEEDS);
  const { needs } = await r.root.json<TemplateDetails>('template', 'show', 'app');
  expect(needs).toMatchObject({ ports: ['80'], devices: ['/dev/fuse'], init: 'sleep infinity' });
  const { stderr } = await r.root.byref('create', 'needy', '--os', 'tiny', '--app', 'app');
  expect(stderr).toContain('devices=/dev/fuse');
  const info = await r.root.info('needy');
  expect(info).toMatchObject({ needs, settings: AS_SETTINGS, volumes: ['/var/lib/app'] });
  await r.root.ok('start', 'needy');
  expect(await has('needy', NET_ADMIN)).toBe(true);
  expect(await opens('needy', '<>/dev/fuse')).toBe(true);
  expect(await r.exec('needy', 'echo $LANG; stat -f -c %T /run/app; ls -A /var/lib/app')).toBe(
    'C.UTF-8\ntmpfs\n',
  );
});

test('the administrator may refuse all of it, a part, or say something else', async () => {
  await needing('some', NEEDS);
  const create = (env: string, ...more: string[]): Promise<string> =>
    r.root.ok('create', env, '--os', 'tiny', '--app', 'some', ...more);
  await create('none', '--refuse-needs');
  expect(await r.root.info('none')).toMatchObject({ settings: {}, volumes: [] });
  await create('part', '--refuse', 'NET_ADMIN', '--refuse', 'volumes', '--refuse', 'LANG');
  const { settings, volumes } = await r.root.info('part');
  const { capabilities: _, 'environment.LANG': _lang, ...left } = AS_SETTINGS;
  expect({ settings, volumes }).toEqual({ settings: left, volumes: [] });
  await create('other', '--set', 'init=', '--volume', '/var/lib/app:4MiB');
  expect(await r.root.info('other')).toMatchObject({ volumes: ['/var/lib/app:4MiB'] });
  expect((await r.root.info('other')).settings).not.toHaveProperty('init');
  const wrong = await r.root.byref('create', 'x', '--os', 'tiny', '--app', 'some', '--refuse', 'b');
  expect(wrong).toMatchObject({ code: EXIT.usage });
  // The file of an env says all.
  const file = path.join(r.root.base, 'part.yaml');
  writeFileSync(file, await r.root.ok('info', 'part', '--config'));
  await r.root.ok('create', 'again', '--from-config', file);
  const config = await r.root.json<EnvConfig>('info', 'part', '--config');
  expect(await r.root.json('info', 'again', '--config')).toEqual({ ...config, name: 'again' });
});

test('what only a privileged env has is not given to another one', async () => {
  await needing('strong', 'capabilities: [SYS_ADMIN, NET_ADMIN]\n');
  const create = (...more: string[]) =>
    r.root.byref('create', 'strong', '--os', 'tiny', '--app', 'strong', ...more);
  const refused = await create();
  expect(refused).toMatchObject({ code: EXIT.usage });
  expect(refused.stderr).toContain('SYS_ADMIN');
  expect(await create('--refuse', 'SYS_ADMIN')).toMatchObject({ code: 0 });
  await r.root.ok('destroy', 'strong');
  expect(await create('--privileged')).toMatchObject({ code: 0 });
});

test('needs with mistakes are refused with their lines', async () => {
  const file = path.join(r.root.base, 'bad.yaml');
  writeFileSync(file, 'devices: [/etc/passwd]\nport: [80]\n');
  const source = r.root.directory('empty');
  const bad = await r.root.byref('template', 'import', 'bad', source, '--needs', file);
  expect(bad).toMatchObject({ code: EXIT.badInput });
  expect(bad.stderr).toContain('bad.yaml:1: devices: "/etc/passwd" is not a device');
  expect(bad.stderr).toContain('bad.yaml:2: port: no such field');
});
