/** Envs that run go to another machine with their programs: two network namespaces whose bridges are joined, and a third one for who talks to them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvMoved } from '../../src/services/move-env.ts';
import { needsCriu } from '../support/machine/criu.ts';
import { BYREF, type Finished, output, run } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

needsCriu();

const POLL = { timeout: 30_000, interval: 20 };
const MIB = 24;
const ADDRESS = /^\d+\.\d+\.\d+\.\d+$/;

/** A machine: a network namespace with a bridge, and a root. */
interface Machine {
  readonly holder: ChildProcess;
  readonly r: RunRoot;
}

let machines: [Machine, Machine];
let client: ChildProcess;
let program: string;

const enter = (holder: ChildProcess): string[] => ['--net', '--target', String(holder.pid)];

async function namespace(): Promise<ChildProcess> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo made; exec sleep infinity'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(holder.stdout, 'data');
  return holder;
}

const script = (holder: ChildProcess, text: string): Promise<string> =>
  output('nsenter', [...enter(holder), 'sh', '-euc', text]);

beforeAll(async () => {
  await RunRoot.prepare();
  const directory = path.join(process.env['TMPDIR'] ?? '/tmp', `counting-server-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  program = path.join(directory, 'counting-server');
  const source = new URL('counting-server.c', import.meta.url).pathname;
  await output('gcc', ['-O2', '-static', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
});

beforeEach(async () => {
  client = await namespace();
  const made = await Promise.all([0, 1].map(namespace));
  const [a, b] = made as [ChildProcess, ChildProcess];
  for (const holder of made)
    await script(
      holder,
      'ip link set lo up; ip link add byref0 type bridge; ip link set byref0 up',
    );
  const join = async (from: ChildProcess, to: ChildProcess, name: string): Promise<void> => {
    await script(from, `ip link add ${name} type veth peer name ${name} netns ${to.pid}`);
    for (const holder of [from, to])
      if (holder !== client) await script(holder, `ip link set ${name} master byref0 up`);
  };
  await join(a, b, 'both');
  await join(a, client, 'guest');
  await script(client, 'ip address add 10.111.200.1/16 dev guest; ip link set guest up');
  machines = [
    { holder: a, r: await RunRoot.create({ BYREF_NETWORK: 'bridge' }) },
    { holder: b, r: await RunRoot.create({ BYREF_NETWORK: 'bridge' }) },
  ];
  await ok(0, 'create', 'web', '--os', 'tiny');
  await ok(0, 'set', 'web', `init=/root/counting-server ${MIB}`);
  await ok(0, 'mount', 'web');
  copyFileSync(program, path.join(machines[0].r.root.path, 'mnt/web/root/counting-server'));
  await ok(0, 'umount', 'web');
  await ok(0, 'start', 'web');
});

afterEach(async () => {
  for (const [i, { r }] of machines.entries()) {
    // In its network, which goes with it.
    await byref(i as 0 | 1, 'stop', '--all', '--fast');
    await r.dispose();
  }
  for (const holder of [client, ...machines.map((each) => each.holder)]) holder.kill();
});

const byref = (which: 0 | 1, ...words: string[]): Promise<Finished> =>
  run('nsenter', [...enter(machines[which].holder), BYREF, ...words], {
    env: machines[which].r.root.env,
    timeout: 120_000,
  });

async function ok(which: 0 | 1, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await byref(which, ...words);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

const addressOn = async (which: 0 | 1): Promise<string> => {
  const [env] = JSON.parse(await ok(which, 'list', '--json')) as { address: string }[];
  expect(env?.address).toMatch(ADDRESS);
  return env!.address;
};

/** Returns a program that runs a command line on the other machine, as ssh does. @param later what stands before it from the second time on */
function shellTo(which: 0 | 1, before = '', later = ''): string {
  const { r, holder } = machines[which];
  const file = path.join(r.root.base, 'shell-to');
  const own = ['BYREF_ROOT', 'BYREF_RUN', 'BYREF_TMPDIR', 'BYREF_NETWORK'].map(
    (name) => `export ${name}='${r.root.env[name]}'`,
  );
  const into = `nsenter ${enter(holder).join(' ')} sh -c "$*"`;
  const again = `[ ! -e "$0.used" ] || exec ${later} ${into}; : >"$0.used"`;
  writeFileSync(
    file,
    [
      '#!/bin/sh',
      'shift',
      'unset BYREF_FAILPOINT',
      ...own,
      again,
      `exec ${before} ${into}`,
      '',
    ].join('\n'),
  );
  chmodSync(file, 0o755);
  rmSync(`${file}.used`, { force: true });
  return file;
}

/** Who talks to the env on one connection for all of a test. */
class Talk {
  readonly answers: string[] = [];
  private readonly child: ChildProcess;

  constructor(address: string) {
    const source = new URL('asking-client.mjs', import.meta.url).pathname;
    this.child = spawn('nsenter', [...enter(client), process.execPath, source, address], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let rest = '';
    this.child.stdout!.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop() ?? '';
      this.answers.push(...lines);
    });
  }

  /** Waits for more answers. */
  async goesOn(): Promise<void> {
    const before = this.answers.length;
    await expect.poll(() => this.answers.length, POLL).toBeGreaterThan(before + 5);
    expect(this.answers.slice(-3)).not.toContain('closed');
  }

  /** Each request was answered, once, by the same program. */
  async end(): Promise<void> {
    await this.goesOn();
    this.child.stdin!.end();
    await once(this.child, 'close');
    const first = Number(this.answers[0]);
    expect(this.answers.map(Number)).toEqual(this.answers.map((_, i) => first + i));
  }
}

const move = (from: 0 | 1, to: 0 | 1, before = '', later = ''): Promise<Finished> =>
  byref(
    ...([from, 'move', 'web', 'other', '--live', '--json'] as const),
    ...['--rsh', shellTo(to, before, later), '--remote-byref', BYREF],
  );

test('its programs, their memory and their connections go there, and back', async () => {
  const talk = new Talk(await addressOn(0));
  await talk.goesOn();
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const { code, stdout, stderr } = await move(from, to);
    expect(code, stderr).toBe(0);
    const moved = JSON.parse(stdout) as EnvMoved;
    expect(moved).toMatchObject({ name: 'web', moved: true, there: { name: 'web' } });
    // Its memory is sent once, and of it what has changed.
    expect(moved.bytes).toBeGreaterThan(MIB * 2 ** 20);
    expect(moved.pauseMs).toBeGreaterThan(0);
    await talk.goesOn();
    expect(JSON.parse(await ok(from, 'list', '--json'))).toEqual([]);
    expect(machines[from].r.leftovers()).toEqual([]);
    expect(await ok(to, 'exec', 'web', '--', 'cat', '/proc/1/comm')).not.toBe('');
  }
  await talk.end();
});

test.for([
  'receive-whole',
  'receive-confirmed',
  'receive-named',
  'start-prepared',
  'start-connected',
])('it goes on here if the other side is killed at %s', async (step) => {
  const talk = new Talk(await addressOn(0));
  await talk.goesOn();
  const failed = await move(0, 1, `env BYREF_FAILPOINT=${step}`);
  expect(failed.code, failed.stderr).toBe(EXIT.unreachable);
  await talk.goesOn();
  expect(JSON.parse(await ok(0, 'list', '--json'))).toMatchObject([{ state: 'running' }]);
  await ok(1, 'gc');
  expect(JSON.parse(await ok(1, 'list', '--json'))).toEqual([]);
  const resumed = await byref(
    0,
    'move',
    'web',
    'other',
    '--resume',
    '--rsh',
    shellTo(1),
    '--remote-byref',
    BYREF,
  );
  expect(resumed.code, resumed.stderr).toBe(0);
  await talk.end();
  expect(JSON.parse(await ok(1, 'list', '--json'))).toMatchObject([{ state: 'running' }]);
});

test('it goes on here if its programs can’t go on there', async () => {
  const talk = new Talk(await addressOn(0));
  await talk.goesOn();
  for (const broken of [
    'BYREF_RUNTIME=/nothing/there',
    'BYREF_CRIU=/nothing/there',
    'BYREF_SUBNET=10.99.0.0/24',
  ]) {
    const failed = await move(0, 1, `env ${broken}`);
    expect(failed.code, broken).not.toBe(0);
    await talk.goesOn();
    expect(JSON.parse(await ok(1, 'list', '--json'))).toEqual([]);
  }
  await talk.end();
  expect(machines[1].r.leftovers()).toEqual([]);
});

test('it does not run twice, whenever this side is killed', async () => {
  const talk = new Talk(await addressOn(0));
  const killed = (step: string): Promise<Finished> =>
    run(
      'nsenter',
      [
        ...[...enter(machines[0].holder), BYREF, 'move', 'web', 'other', '--live'],
        ...['--rsh', shellTo(1), '--remote-byref', BYREF],
      ],
      { env: { ...machines[0].r.root.env, BYREF_FAILPOINT: step } },
    );
  for (const step of ['move-asleep', 'move-processes-sent']) {
    await killed(step);
    await talk.goesOn();
  }
  // From here on, it may run there.
  await killed('move-whole');
  expect(JSON.parse(await ok(0, 'list', '--json'))).toMatchObject([{ state: 'frozen' }]);
  await expect
    .poll(async () => JSON.parse(await ok(1, 'list', '--json')) as unknown, POLL)
    .toEqual([]);
  await ok(0, 'thaw', 'web');
  await talk.goesOn();
  await killed('move-done');
  expect(JSON.parse(await ok(0, 'list', '--json'))).toMatchObject([{ state: 'frozen' }]);
  expect(JSON.parse(await ok(1, 'list', '--json'))).toMatchObject([{ state: 'running' }]);
  await talk.goesOn();
  await ok(0, 'destroy', '--force', 'web');
  await talk.end();
});

test('if nobody knows where it is, its programs are kept', async () => {
  const talk = new Talk(await addressOn(0));
  await talk.goesOn();
  const failed = await move(0, 1, 'env BYREF_FAILPOINT=receive-confirmed', 'false');
  expect(failed.code).toBe(EXIT.unreachable);
  const [, words = ''] = /(start web --from-checkpoint \S+)/.exec(failed.stderr) ?? [];
  expect(JSON.parse(await ok(0, 'list', '--json'))).toMatchObject([{ state: 'stopped' }]);
  await ok(0, ...words.split(' '));
  await talk.end();
});
