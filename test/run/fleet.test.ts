/**
 * Debian with systemd, nginx and PostgreSQL, patched while it serves: the new program answers, and the way back. BYREF_FLEET=50
 * (scripts/fleet.sh) has as many envs, of which the first has the database, and BYREF_FLEET_REPORT names the file in which it says what
 * each step took.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { StaleFile } from '../../src/manager/rollout/stale.ts';
import type { StaleRestarted } from '../../src/services/restart-stale.ts';
import { BYREF, output } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { BUILD_ARCHIVE_MS, siteArchive } from '../support/packages/debian.ts';
import { NEWER, upgradeNginx } from '../support/packages/newer-nginx.ts';
import { Machines } from './machines.ts';
import { inRunning, leftoversOf } from './run-root.ts';

const COUNT = Number(process.env['BYREF_FLEET'] ?? 2);
const REPORT = process.env['BYREF_FLEET_REPORT'];
const STEP_MS = 60_000 + COUNT * 10_000;
const POLL_MS = 100;
const FIRST = 'web1';

let root: TestRoot;
let machines: Machines;
let env: NodeJS.ProcessEnv;
let addresses: string[];

beforeAll(async () => {
  const archive = await siteArchive();
  root = await TestRoot.create();
  const tree = root.directory('tree');
  await output('tar', ['--extract', '--file', archive, '--directory', tree]);
  await root.import('system', tree, 'os');
  await upgradeNginx(tree);
  await root.import('system', tree, 'os');
  rmSync(tree, { recursive: true });
  await root.ok('create', FIRST, '--os', 'system');
  // A unit that is empty is not started: one database is enough.
  const none = path.join(root.base, 'none');
  writeFileSync(none, '');
  const masked = ['--file', `${none}:/etc/systemd/system/postgresql.service`];
  for (let i = 2; i <= COUNT; i++) await root.ok('create', `web${i}`, '--os', 'system', ...masked);
  env = { ...root.env, BYREF_NETWORK: 'bridge' };
  machines = await Machines.create();
}, BUILD_ARCHIVE_MS);

afterAll(async () => {
  await machines.byref(['stop', '--all', '--fast'], env, STEP_MS);
  const left = leftoversOf(root);
  await root.dispose();
  machines.end();
  expect(left).toEqual([]);
}, STEP_MS);

/** Runs a command of byref on the machine, which must succeed, and reports what it took. */
async function step(...words: string[]): Promise<string> {
  return timed(words[0]!, async () => {
    const { code, stdout, stderr } = await machines.byref(words, env, STEP_MS);
    expect(code, stdout + stderr).toBe(0);
    return stdout;
  });
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await work();
  const seconds = ((performance.now() - from) / 1000).toFixed(2);
  if (REPORT !== undefined) appendFileSync(REPORT, `${what}|${seconds} s\n`);
  return result;
}

const others = (): string[] => Array.from({ length: COUNT - 1 }, (_, i) => `web${i + 2}`);

/** What the web servers of all envs say that they are, asked from another machine by address. */
async function servers(): Promise<string[]> {
  const each =
    'curl --silent --show-error --max-time 60 --output /dev/null --write-out "%header{server}\\n" http://@/';
  const script = `printf "%s\\n" ${addresses.join(' ')} | xargs -P 8 -I @ ${each}`;
  return (await timed('all answer', () => machines.on(1, script))).trim().split('\n');
}

const RELEASED = /^nginx\/1[.]/;

function expectAll(said: readonly string[], server: string | RegExp): void {
  expect(said).toHaveLength(COUNT);
  for (const one of said) expect(one).toMatch(server);
}

/** Starts a session of psql in the first env that writes rows until it is ended. */
async function startWriting(): Promise<void> {
  await query('CREATE TABLE rows (id serial PRIMARY KEY, session int DEFAULT pg_backend_pid())');
  const words = ['exec', FIRST, '--', 'su', 'postgres', '-c', 'psql -q'];
  const session = spawn(BYREF, words, { env, stdio: ['pipe', 'ignore', 'ignore'] });
  session.stdin.write('INSERT INTO rows DEFAULT VALUES \\watch 0.05\n');
}

/** Asks the database of the first env. */
const query = (sql: string): Promise<string> =>
  inRunning(root, FIRST, `su postgres -c 'psql -Atqc "${sql}"'`);

const rows = async (): Promise<number> => Number(await query('SELECT count(*) FROM rows'));

/** Waits until the session has written more, and expects that nothing was lost, and that it is the one that began. */
async function writesOn(): Promise<void> {
  const before = await rows();
  while ((await rows()) <= before) await sleep(POLL_MS);
  expect(await query('SELECT count(*) = max(id), count(DISTINCT session) FROM rows')).toBe('t|1\n');
}

const postgres = (): Promise<string> =>
  inRunning(root, FIRST, 'cat /var/lib/postgresql/*/main/postmaster.pid | head -1');

/** Restarts what is stale, and expects that it is nginx, and all of it. */
async function restartStale(): Promise<void> {
  const stale = JSON.parse(await step('stale', '--json')) as StaleFile[];
  expect(new Set(stale.map(({ path: file }) => file))).toEqual(new Set(['/usr/sbin/nginx']));
  expect(new Set(stale.map((each) => each.env)).size).toBe(COUNT);
  const before = await postgres();
  const done = JSON.parse(await step('restart', '--stale', '--json')) as StaleRestarted[];
  expect(done).toHaveLength(COUNT);
  for (const { units, left } of done) expect([units, left]).toEqual([['nginx.service'], []]);
  expect(await postgres()).toBe(before);
  expect(JSON.parse(await step('stale', '--json'))).toEqual([]);
}

test(
  'they start together, and answer from another machine',
  async () => {
    await step('start', '--ready', '--timeout', `${STEP_MS / 1000}s`, FIRST, ...others());
    const envs = JSON.parse(await step('list', '--json')) as EnvSummary[];
    addresses = envs.map(({ address }) => address ?? '');
    expectAll(await servers(), RELEASED);
    await startWriting();
    await writesOn();
  },
  STEP_MS,
);

test(
  'a patch: checked through the network in a canary, and restarted where it is stale',
  async () => {
    const health = 'curl --fail --silent --output /dev/null http://$BYREF_ADDRESS/';
    await step('patch', 'system', '--canary', FIRST, '--health-on', 'host', '--health', health);
    await writesOn();
    await restartStale();
    expectAll(await servers(), NEWER);
    await writesOn();
    expect(await inRunning(root, FIRST, 'nginx -v 2>&1; dpkg --verify; dpkg --audit')).toBe(
      `nginx version: ${NEWER}\n`,
    );
  },
  STEP_MS,
);

test(
  'and the way back',
  async () => {
    await step('rollback', 'system');
    await restartStale();
    expectAll(await servers(), RELEASED);
    await writesOn();
    expect(await inRunning(root, FIRST, 'dpkg --verify; dpkg --audit')).toBe('');
    await step('stop', '--all', '-t', `${STEP_MS / 1000}s`);
  },
  STEP_MS,
);
