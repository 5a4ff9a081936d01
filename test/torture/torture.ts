/**
 * Writers and programs in several envs, while drivers are killed and upgraded, the daemon is killed, drivers and holder are killed at
 * once, and their template is patched and rolled back.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { TestDaemon } from '../daemon/daemon-root.ts';
import type { TestRoot } from '../support/machine/root.ts';
import { PROGRAMS, type Program } from './programs.ts';

/** A tree of files that programs unpack. */
const TREE = fileURLToPath(new URL('../../src/driver', import.meta.url));
const WRITER = fileURLToPath(new URL('writer.ts', import.meta.url));

type Blow = 'driver' | 'daemon' | 'all' | 'upgrade' | 'patch';

/** What happens, in turn. Each kind comes soon: a short run on a busy machine has few turns. */
const BLOWS: readonly Blow[] = [
  ...(['driver', 'daemon', 'all', 'patch', 'upgrade', 'driver', 'driver', 'patch'] as const),
  ...(['driver', 'driver', 'all', 'driver', 'patch', 'driver', 'upgrade', 'driver'] as const),
];

/** What one run did. */
export interface Survived {
  /** Of one driver. */
  kills: number;
  /** Of the daemon. */
  daemonKills: number;
  /** Of all drivers and the holder at once. */
  killsOfAll: number;
  upgrades: number;
  patches: number;
  /** Calls of writers, each checked. */
  calls: number;
  /** Steps that programs made: commits, transactions, trees that were unpacked. */
  readonly steps: Partial<Record<Program, number>>;
  /** What writers and programs said of calls that failed, or of bytes that were wrong. */
  readonly errors: string[];
}

/** Runs writers in envs for some seconds. @param pauseMs between two kills; a driver may be killed before it has taken over */
export async function torture(
  root: TestRoot,
  {
    envs,
    seconds,
    pauseMs,
    seed,
    programs,
  }: {
    readonly envs: number;
    /** Each runs in an env, in turn. */
    readonly programs: readonly Program[];
    readonly seconds: number;
    readonly pauseMs: number;
    readonly seed: number;
  },
): Promise<Survived> {
  const survived: Survived = {
    ...{ kills: 0, daemonKills: 0, killsOfAll: 0, upgrades: 0, patches: 0, calls: 0 },
    ...{ steps: {}, errors: [] },
  };
  for (const version of ['one', 'two']) {
    const dir = root.directory(version);
    mkdirSync(path.join(dir, 'etc'), { recursive: true });
    writeFileSync(path.join(dir, 'etc/version'), `${version}\n`);
    await root.ok('template', 'import', 't', dir);
  }
  const names = Array.from({ length: envs }, (_, i) => `e${i}`);
  for (const name of names) await root.ok('create', name, '--os', 't');
  await root.ok('mount', ...names);
  const writers = names.map((name, i) => startWriter(root, name, seed + i, seconds));
  const running = programs.map((program, i) => ({
    program,
    ...startProgram(root, names[i % envs]!, program, seconds),
  }));
  const until = Date.now() + seconds * 1000;
  const daemon = new TestDaemon(root);
  await daemon.start();
  let isPatched = false;
  const doOne: Readonly<Record<Blow, () => Promise<void>>> = {
    driver: async () => {
      if (killOne(root)) survived.kills++;
    },
    daemon: async () => {
      await daemon.kill();
      await daemon.start();
      survived.daemonKills++;
    },
    all: async () => {
      // The daemon has copies of all descriptors a moment after its start, or after an upgrade.
      await daemon.holdsCopies(envs);
      for (const line of root.processes()) kill(line);
      survived.killsOfAll++;
    },
    upgrade: async () => {
      await root.ok('daemon', 'upgrade');
      survived.upgrades++;
    },
    patch: async () => {
      const move = isPatched ? ['rollback', 't'] : ['patch', 't', '--to', '2'];
      const { code } = await root.run(move);
      isPatched = !isPatched;
      if (code === 0) survived.patches++;
    },
  };
  for (let turn = 0; Date.now() < until; turn++) {
    await sleep(pauseMs);
    await doOne[BLOWS[turn % BLOWS.length]!]();
  }
  for (const each of writers) {
    if (await hasSucceeded(each)) survived.calls += Number(each.said());
    else survived.errors.push(each.said());
  }
  for (const each of running) {
    if (await hasSucceeded(each)) survived.steps[each.program] = Number(each.said());
    else survived.errors.push(`${each.program}: ${each.said()}`);
  }
  await daemon.kill('SIGTERM');
  return survived;
}

interface Running {
  readonly child: ChildProcess;
  /** What it has printed. */
  said(): string;
}

async function hasSucceeded({ child }: Running): Promise<boolean> {
  const isRunning = child.exitCode === null && child.signalCode === null;
  const [code] = (isRunning ? await once(child, 'exit') : [child.exitCode]) as [number | null];
  return code === 0;
}

function startWriter(root: TestRoot, env: string, seed: number, seconds: number): Running {
  const dir = workIn(root, env, 'work');
  return start([process.execPath, '--import', 'tsx', WRITER, dir, String(seed), String(seconds)]);
}

function startProgram(root: TestRoot, env: string, program: Program, seconds: number): Running {
  const dir = workIn(root, env, program);
  const words = ['-euo', 'pipefail', '-c', PROGRAMS[program], 'bash', dir, String(seconds), TREE];
  // It may mount things, and what it starts ends with it.
  return start(['unshare', '--mount', '--pid', '--fork', '--kill-child', 'bash', ...words]);
}

function workIn(root: TestRoot, env: string, name: string): string {
  const dir = path.join(root.path, 'mnt', env, name);
  mkdirSync(dir);
  return dir;
}

function start([program = '', ...words]: readonly string[]): Running {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, said: () => text.trim() };
}

/** Kills the driver, if there is one now. */
function killOne(root: TestRoot): boolean {
  const driver = root.processes().find((line) => line.includes('byref-driver'));
  return driver !== undefined && kill(driver);
}

/** Kills a process of a list. @returns false if it has just ended */
function kill(line: string): boolean {
  try {
    process.kill(Number.parseInt(line, 10), 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}
