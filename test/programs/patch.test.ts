/** A real patch: Debian's web server gets the security updates under running servers, and loses them again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import type { StaleFile } from '../../src/manager/rollout/stale.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { BUILD_ARCHIVE_MS, inEnv, inEnvWords, serverArchive } from '../support/packages/debian.ts';

const ENVS = ['web1', 'web2', 'web3'];
const TEST_MS = 240_000;

let root: TestRoot;
const servers = new Map<string, ChildProcess>();

beforeAll(async () => {
  root = await TestRoot.create();
  await root.ok(
    'template',
    'import',
    'debian',
    await serverArchive('without-updates'),
    '--label',
    'release',
  );
  for (const env of ENVS) {
    await root.create(env, 'debian');
    await root.mount(env);
  }
}, BUILD_ARCHIVE_MS);

afterAll(async () => {
  for (const env of servers.keys()) await stopServer(env);
  await root.dispose();
}, TEST_MS);

const mount = (env: string): string => `${root.path}/mnt/${env}`;

async function startServer(env: string): Promise<void> {
  const script = 'mkdir -p /run/lock /run/apache2; exec apachectl -D FOREGROUND';
  const [word = '', ...words] = inEnvWords(mount(env), script);
  const child = spawn(word, words, { cwd: '/', stdio: 'ignore', detached: true });
  servers.set(env, child);
  await expect.poll(() => version(env), { timeout: 30_000 }).toContain('Apache/');
}

async function stopServer(env: string): Promise<void> {
  const child = servers.get(env);
  servers.delete(env);
  if (child?.pid === undefined || child.exitCode !== null) return;
  const exited = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await exited;
}

/** What the server of an env answers with, asked from within its network. */
async function version(env: string): Promise<string> {
  const script = `
    inside=$(pgrep -P "$1" | head -1)
    nsenter -t "$inside" -n ip link set lo up
    nsenter -t "$inside" -n curl -sI http://127.0.0.1/ | tr -d '\\r' | sed -n 's/^Server: //p'`;
  const { stdout } = await sh(script, [String(servers.get(env)?.pid ?? 0)]);
  return stdout.trim();
}

/** The version that an env's package database names. */
async function installed(env: string): Promise<string> {
  const { stdout } = await inEnv(mount(env), 'dpkg-query -W apache2-bin | cut -f2');
  return stdout.trim();
}

const upstream = (text: string): string => /\d+[.]\d+[.]\d+/.exec(text)?.[0] ?? text;

test('a web server is patched under load, restarted, and taken back', {
  timeout: TEST_MS + BUILD_ARCHIVE_MS,
}, async ({ skip }) => {
  for (const env of ENVS) await startServer(env);
  const old = await version('web1');
  await inEnv(
    mount('web2'),
    "echo '<h1>web2</h1>' >/var/www/html/index.html; echo '# ours' >>/etc/apache2/apache2.conf",
  );
  await root.ok(
    'template',
    'import',
    'debian',
    await serverArchive('with-updates'),
    '--label',
    'patched',
  );
  const before = await installed('web1');
  const changed = await root.ok('template', 'diff', 'debian', '1', '2');
  if (!changed.includes('C /usr/sbin/apache2\n')) skip('the archive has no update of apache2 now');

  const record = await root.json<PatchRecord>('patch', 'debian');
  expect(record.envs.map(({ outcome }) => outcome)).toEqual(['flipped', 'flipped', 'flipped']);
  // The running servers go on with what they run; the files are the new ones.
  for (const env of ENVS) expect(await version(env)).toBe(old);
  const after = await installed('web1');
  expect(after).not.toBe(before);
  const verified = await inEnv(mount('web1'), 'dpkg --verify');
  expect([verified.code, verified.stdout]).toEqual([0, '']);
  const stale = await root.json<StaleFile[]>('stale');
  for (const env of ENVS) {
    const paths = stale
      .filter((file) => file.env === env && file.program === 'apache2')
      .map(({ path }) => path);
    expect(paths).toContain('/usr/sbin/apache2');
  }

  await stopServer('web1');
  await startServer('web1');
  expect(upstream(await version('web1'))).toBe(upstream(after));
  expect(upstream(await version('web3'))).toBe(upstream(before));
  await stopServer('web2');
  await startServer('web2');
  const page = await sh('nsenter -t "$(pgrep -P "$1" | head -1)" -n curl -s http://127.0.0.1/', [
    String(servers.get('web2')!.pid),
  ]);
  expect(page.stdout).toBe('<h1>web2</h1>\n');
  const stillStale = await root.json<StaleFile[]>('stale');
  expect(new Set(stillStale.map(({ env }) => env))).toEqual(new Set(['web3']));

  await root.ok('rollback', 'debian');
  expect(await installed('web1')).toBe(before);
  await stopServer('web1');
  await startServer('web1');
  expect(await version('web1')).toBe(old);
  const own = await inEnv(
    mount('web2'),
    'tail -1 /etc/apache2/apache2.conf; cat /var/www/html/index.html',
  );
  expect(own.stdout).toBe('# ours\n<h1>web2</h1>\n');
});
