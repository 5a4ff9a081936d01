/** Real apps: Debian's nginx, Redis and PostgreSQL, built as templates, together in one env, and at work there. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvUsage } from '../../src/manager/envs/usage.ts';
import { hashObjects } from '../suite/objects.ts';
import { abandonedWorkplaces, mountsBelow } from '../support/machine/leftovers.ts';
import { run } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { inEnv } from '../support/packages/debian.ts';
import { Services } from './services.ts';

/** By template: what is installed. */
const APPS = { nginx: 'nginx', redis: 'redis-server', postgresql: 'postgresql' } as const;
const STACK = ['--os', 'debian', ...Object.keys(APPS).flatMap((name) => ['--app', name])];
const SUITES = ['bookworm', 'trixie'];
/** What comes over the network, with a slow one in mind. */
const BUILD_MS = 600_000;
const TEST_MS = 120_000;
const MIB = 2 ** 20;

let root: TestRoot;
/** Null: this machine's apt knows no Debian that the test is made for. */
let suite: string | null;
const running: Services[] = [];

beforeAll(async () => {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(RELEASE)']);
  suite = SUITES.find((each) => stdout.split('\n').includes(each)) ?? null;
  root = await TestRoot.create();
  if (suite === null) return;
  await build({ name: 'debian', suite });
  // Side by side: each has an env of its own to install in, and the store is shared.
  await Promise.all(
    Object.entries(APPS).map(([name, each]) =>
      build({ kind: 'app', name, base: 'debian', packages: [each] }),
    ),
  );
}, BUILD_MS);

beforeEach(({ skip }) => {
  if (suite === null) skip(`this machine has no apt source of ${SUITES.join(' or ')}`);
});

afterEach(async () => {
  for (const services of running.splice(0)) await services.kill();
});

afterAll(async () => {
  expect(abandonedWorkplaces(root)).toEqual([]);
  expect(mountsBelow(root.tmp)).toEqual([]);
  await root.dispose();
}, TEST_MS);

async function build(fields: Readonly<Record<string, unknown>>): Promise<void> {
  const file = path.join(root.base, `${String(fields['name'])}.yaml`);
  writeFileSync(file, JSON.stringify(fields));
  const { code, stderr } = await root.run(['template', 'build', file], { timeout: BUILD_MS });
  expect(code, stderr).toBe(0);
}

async function start(mountpoint: string): Promise<Services> {
  const services = await Services.start(mountpoint);
  running.push(services);
  return services;
}

/** What a script prints in an env that runs nothing else. */
async function inside(mountpoint: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await inEnv(mountpoint, script);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

test('three apps in one env are what dpkg, apt and the account files say they are', {
  timeout: TEST_MS,
}, async () => {
  await root.ok('create', 'told', ...STACK);
  const mount = await root.mount('told');
  expect(await inside(mount, 'dpkg --verify; dpkg --audit; apt-get -qq check')).toBe('');
  const status = "dpkg --list | sed '1,/^+++/d'";
  const installed = (await inside(mount, status)).trim().split('\n');
  expect(installed.filter((line) => !line.startsWith('ii '))).toEqual([]);
  const names = new Set(installed.map((line) => /^ii +([^\s:]+)/.exec(line)?.[1]));
  for (const template of ['debian', ...Object.keys(APPS)]) {
    const packages = await root.json<{ name: string }[]>('template', 'packages', template);
    expect(packages.filter(({ name }) => !names.has(name))).toEqual([]);
  }
  expect([...names]).toEqual(expect.arrayContaining(Object.values(APPS)));

  const accounts = await inside(mount, 'getent passwd redis postgres; getent group redis postgres');
  expect(accounts.split('\n').map((line) => line.split(':')[0])).toEqual([
    'redis',
    'postgres',
    'redis',
    'postgres',
    '',
  ]);
  const owners = "stat -c '%U %n' /var/lib/redis /var/lib/postgresql/*/main /etc/redis/redis.conf";
  expect((await inside(mount, owners)).split('\n').map((line) => line.split(' ')[0])).toEqual([
    'redis',
    'postgres',
    'redis',
    '',
  ]);
  expect(await inside(mount, "find / -xdev '(' -nouser -o -nogroup ')' -print")).toBe('');
  expect(
    await inside(mount, 'nginx -t 2>&1 | tail -1; ldd /usr/sbin/nginx | grep "not found" || :'),
  ).toContain('test is successful');
  expect(await root.ok('template', 'which', 'told', '/etc/passwd')).toBe(
    '/etc/passwd: merged of debian@1, redis@1, postgresql@1\n',
  );
  expect((await root.info('told')).stack.map(({ template }) => template)).toEqual([
    'debian',
    ...Object.keys(APPS),
  ]);
  // What verified was not the silence of a tool that looks at nothing.
  const spoil = 'echo more >>/usr/sbin/nginx; rm /usr/bin/redis-check-rdb';
  const told = await inside(mount, `${spoil}; dpkg --verify || :`);
  expect(told).toMatch(/^\?\?5\S+ +\/usr\/sbin\/nginx\n/m);
  expect(told).toMatch(/^missing +\/usr\/bin\/redis-check-rdb/m);
  await root.umount('told');
  await root.ok('destroy', 'told');
});

test('they answer, keep what they were told, and a second env has its own', {
  timeout: TEST_MS,
}, async () => {
  const objects = hashObjects(root.path);
  for (const env of ['web1', 'web2']) await root.ok('create', env, ...STACK);
  const [one, two] = [await root.mount('web1'), await root.mount('web2')];
  const web1 = await start(one);
  expect(await web1.page()).toMatch(/^HTTP\/1.1 200 OK\r\n.*Welcome to nginx!/s);
  expect(await web1.redis('PING')).toBe('+PONG\r\n');
  expect(await web1.redis('SET', 'env', 'web1')).toBe('+OK\r\n');
  expect(await web1.redis('GET', 'env')).toBe('$4\r\nweb1\r\n');
  await web1.sql('create table t (id serial primary key, env text)');
  await web1.sql("insert into t (env) select 'web1' from generate_series(1, 10000)");
  expect(await web1.sql('select count(*), min(env) from t')).toBe('10000|web1');

  const web2 = await start(two);
  expect(await web2.sql("select count(*) from pg_tables where tablename = 't'")).toBe('0');
  expect(await web2.redis('GET', 'env')).toBe('$-1\r\n');
  await web2.sh('echo "<h1>web2</h1>" >/var/www/html/index.html');
  await web2.sql("create table t (env text); insert into t values ('web2')");
  await web2.redis('SET', 'env', 'web2');
  expect(await web2.page()).toMatch(/^HTTP\/1.1 200 OK\r\n.*<h1>web2<\/h1>/s);
  expect(await web1.page()).toContain('Welcome to nginx!');
  expect(await web1.redis('GET', 'env')).toBe('$4\r\nweb1\r\n');
  expect(await web1.sql('select count(*), min(env) from t')).toBe('10000|web1');

  await web1.stop();
  await root.umount('web1');
  // A private copy for what was written, and links for all else.
  const [usage] = await root.json<readonly EnvUsage[]>('df', 'web1');
  expect(usage?.privateBytes).toBeLessThan(64 * MIB);
  expect(usage?.sharedBytes).toBeGreaterThan(256 * MIB);
  const again = await start(await root.mount('web1'));
  expect(await again.sql('select count(*), max(id) from t')).toBe('10000|10000');
  expect(await again.redis('GET', 'env')).toBe('$4\r\nweb1\r\n');
  expect(await again.page()).toContain('Welcome to nginx!');
  expect(await web2.sql('select env from t')).toBe('web2');
  expect(await web2.redis('GET', 'env')).toBe('$4\r\nweb2\r\n');
  expect(await inside(one, 'dpkg --verify')).toBe('');
  await again.stop();
  await web2.stop();
  expect(hashObjects(root.path)).toEqual(objects);
});

test('the same packages make no other version', { timeout: BUILD_MS }, async () => {
  for (const name of Object.keys(APPS)) {
    const { code, stdout } = await root.run(['template', 'update', name], { timeout: BUILD_MS });
    expect([code, stdout]).toEqual([0, expect.stringContaining('nothing new')]);
  }
});
