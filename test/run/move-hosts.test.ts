/** Envs are moved from one machine to another, by ssh over a wire between two networks: Debian with a database that is used meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { IncomingMove } from '../../src/manager/moves/incoming.ts';
import type { EnvMoved } from '../../src/services/move-env.ts';
import { useCriu } from '../support/machine/criu.ts';
import { BYREF, type Finished, output } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SshServer } from '../support/machine/ssh-server.ts';
import { BUILD_ARCHIVE_MS, siteArchive } from '../support/packages/debian.ts';
import { Machines } from './machines.ts';
import { inRunning, leftoversOf } from './run-root.ts';

const TEST_MS = 300_000;
const FAR = '10.9.0.2';
const PORT = 22;
/** Accounts of pgbench: 100,000 for each. */
const SCALE = 2;

/** The first process of the env with the database. */
const SERVE = `#!/bin/bash
set -e
bin=$(echo /usr/lib/postgresql/*/bin) data=/var/lib/postgresql/data
as() { exec setpriv --reuid postgres --regid postgres --init-groups "$@"; }
install -d -o postgres -g postgres /run/pg
[ -e $data/PG_VERSION ] || { (as $bin/initdb --data-checksums --auth trust -D $data); }
as $bin/postgres -D $data -k /run/pg -c listen_addresses=
`;
/** The same, with clients in it that write all the time, each with a log. */
const USE = `#!/bin/bash
export PGHOST=/run/pg PGUSER=postgres
bin=$(echo /usr/lib/postgresql/*/bin)
use() {
  until $bin/psql -qc ''; do sleep 0.1; done
  $bin/pgbench -q -i -s 1 && $bin/psql -qc 'create extension amcheck'
  cd /var/lib/postgresql
  exec setpriv --reuid postgres --regid postgres --init-groups $bin/pgbench -n -c 2 -T 600 --log
}
use >/root/used 2>&1 &
exec /usr/local/bin/serve
`;
const PG = 'export PGHOST=/run/pg PGUSER=postgres; bin=$(echo /usr/lib/postgresql/*/bin);';
const AS = 'setpriv --reuid postgres --regid postgres --init-groups';

let [here, there] = [] as unknown as [TestRoot, TestRoot];
let machines: Machines;
let server: SshServer;

beforeAll(async () => {
  const archive = await siteArchive();
  [here, there] = [await TestRoot.create(), await TestRoot.create()];
  const tree = here.directory('tree');
  await output('tar', ['--extract', '--file', archive, '--directory', tree]);
  writeFileSync(path.join(tree, 'usr/local/bin/serve'), SERVE);
  chmodSync(path.join(tree, 'usr/local/bin/serve'), 0o755);
  await here.import('site', tree, 'os');
  // An older version of it is there.
  rmSync(path.join(tree, 'usr/local/bin/serve'));
  rmSync(path.join(tree, 'usr/sbin/nginx'));
  await there.import('site', tree, 'os');
  rmSync(tree, { recursive: true });
  machines = await Machines.create();
  await machines.on(0, 'tc qdisc add dev out root tbf rate 100mbit burst 64k latency 400ms');
  const keys = path.join(here.base, 'ssh');
  mkdirSync(keys);
  const enter = ['nsenter', '--net', '--target', String(machines.holders[1]!.pid)];
  server = await SshServer.start(keys, FAR, PORT, enter);
  await here.ok('create', 'db', '--os', 'site', '--set', 'init=/usr/local/bin/serve');
  await here.ok('start', 'db');
}, BUILD_ARCHIVE_MS);

afterAll(async () => {
  try {
    for (const root of [here, there]) {
      await root.ok('stop', '--all', '--fast');
      await root.ok('umount', '--all');
    }
    expect([here, there].flatMap(leftoversOf)).toEqual([]);
  } finally {
    await server.end();
    machines.end();
    for (const root of [here, there]) await root.dispose();
  }
}, TEST_MS);

const ready = (root: TestRoot): Promise<void> =>
  expect
    .poll(
      async () => (await root.byref('exec', 'db', '--', 'bash', '-c', `${PG} psql -qc ''`)).code,
      {
        timeout: 60_000,
      },
    )
    .toBe(0);

/** Moves the env, from one of the machines. */
function move(...more: string[]): Promise<Finished> {
  const own = ['BYREF_ROOT', 'BYREF_RUN', 'BYREF_TMPDIR', 'BYREF_NETWORK', 'BYREF_IDLE_EXIT_MS'];
  const far = [...own, 'BYREF_CRIU'];
  const settings = far.map((name) => `${name}=${there.env[name] ?? ''}`);
  const byref = ['env', ...settings, `PATH=${process.env['PATH'] ?? ''}`, BYREF].join(' ');
  const words = ['move', 'db', FAR, '--rsh', server.rsh, '--remote-byref', byref, '--json'];
  return machines.byref([...words, ...more], here.env, TEST_MS);
}

/** Starts clients that write until the database goes. */
function clients(root: TestRoot): ChildProcess {
  const script = `${PG} cd /var/lib/postgresql; exec ${AS} $bin/pgbench -n -c 2 -T 600 --log`;
  return spawn(BYREF, ['exec', 'db', '--', 'bash', '-c', script], {
    env: root.env,
    stdio: 'ignore',
  });
}

const SUMS = `select (select sum(abalance) from pgbench_accounts) = s and (select sum(bbalance) from pgbench_branches) = s
  and (select sum(tbalance) from pgbench_tellers) = s from (select coalesce(sum(delta), 0) s from pgbench_history) h`;

/** Expects that the database is whole by its own check, with all that its clients were told is written. */
async function expectWhole(root: TestRoot): Promise<void> {
  await ready(root);
  expect(await inRunning(root, 'db', `${PG} psql -Atqc "${SUMS}"`)).toBe('t\n');
  await inRunning(root, 'db', `${PG} $bin/pg_amcheck --all --heapallindexed`);
  const counts = `${PG} psql -Atqc 'select count(*) from pgbench_history'; cat /var/lib/postgresql/pgbench_log.* | wc -l`;
  const [kept = 0, told = 0] = (await inRunning(root, 'db', counts)).trim().split('\n').map(Number);
  expect(told).toBeGreaterThan(0);
  expect(kept).toBeGreaterThanOrEqual(told);
}

const has = async (root: TestRoot): Promise<boolean> =>
  (await root.json<EnvSummary[]>('list')).some(({ name }) => name === 'db');

/** How much came of the round that is coming. */
const came = (): number => {
  const moves = path.join(there.path, 'moves/in');
  const [move = ''] = existsSync(moves) ? readdirSync(moves) : [];
  const file = path.join(moves, move.replace('.lock', ''), 'round');
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
};

test('a database is moved while it is written to, and a wire is pulled meanwhile', {
  timeout: TEST_MS,
}, async () => {
  await ready(here);
  await inRunning(
    here,
    'db',
    `${PG} $bin/pgbench -q -i -s ${SCALE}; psql -qc 'create extension amcheck'`,
  );
  const first = clients(here);
  const cut = move('--warm', '--fast');
  await expect.poll(came, { timeout: 60_000 }).toBeGreaterThan(1_000_000);
  await machines.on(0, 'ip link set out down');
  const { code, stderr } = await cut;
  expect([code, stderr]).toEqual([EXIT.unreachable, expect.stringContaining('--resume')]);
  expect([await has(here), await has(there)]).toEqual([true, false]);
  // It has not noticed anything.
  expect(first.exitCode).toBeNull();
  await machines.on(0, 'ip link set out up');
  await expect
    .poll(async () => (await there.json<IncomingMove[]>('receive', '--list'))[0]?.active, {
      timeout: 60_000,
    })
    .toBe(false);
  const ended = once(first, 'close');
  const resumed = await move('--resume', '--fast');
  expect(resumed.code, resumed.stderr).toBe(0);
  await ended;
  const moved = JSON.parse(resumed.stdout) as EnvMoved;
  expect(moved).toMatchObject({ moved: true, resumed: true, versions: [] });
  expect(moved.pauseMs).toBeGreaterThan(0);
  expect([await has(here), await has(there)]).toEqual([false, true]);
  await expectWhole(there);
});

/** How many transactions clients were told of. */
const told = async (root: TestRoot): Promise<number> =>
  Number(await inRunning(root, 'db', 'cat /var/lib/postgresql/pgbench_log.* 2>/dev/null | wc -l'));

test('a database goes there with its clients, and none of them notices', {
  timeout: TEST_MS,
}, async (context) => {
  useCriu(context);
  await there.ok('destroy', '--force', 'db');
  await here.ok('create', 'db', '--os', 'site', '--set', 'init=/root/use');
  await here.ok('mount', 'db');
  const script = path.join(here.path, 'mnt/db/root/use');
  writeFileSync(script, USE);
  chmodSync(script, 0o755);
  await here.ok('umount', 'db');
  await here.ok('start', 'db');
  await expect.poll(() => told(here), { timeout: 60_000 }).toBeGreaterThan(100);
  const { code, stdout, stderr } = await move('--live');
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ moved: true, there: { name: 'db' } });
  const before = await told(there);
  await expect.poll(() => told(there), { timeout: 60_000 }).toBeGreaterThan(before + 100);
  expect([await has(here), await has(there)]).toEqual([false, true]);
  expect(await inRunning(there, 'db', 'pkill pgbench; cat /root/used')).not.toMatch(
    /pgbench: error|abort/,
  );
  await expectWhole(there);
});
