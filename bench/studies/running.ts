import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { startDaemon } from '../daemon.ts';
import { pause, run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatBytes, formatNs, formatRatio, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ROUNDS = { quick: 5, full: 15 };
/** Idle envs whose memory is measured. */
const IDLE = { quick: 20, full: 100 };
/** Envs that are started together. */
const TOGETHER = 50;
const TOGETHER_ROUNDS = { quick: 1, full: 3 };
/** Idle envs of byref alone. */
const MANY = { quick: 200, full: 1000 };
const MANY_MS = 1_200_000;
const MACHINE_BYTES = 16 * 1024 ** 3;
const IMAGE = 'byref-bench';
/** An idle driver gives back what mounts left as garbage after five to ten seconds. */
const SETTLE_MS = 12_000;

/** A program that says a word and ends, or waits if it is told to: all that is in the image. */
const PROGRAM = `#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) { puts("ready"); fflush(stdout); if (count > 1) for (;;) pause(); return 0; }
`;

/** What is measured of one of the two. */
interface Runner {
  readonly name: string;
  readonly env: Record<string, string>;
  /** Words that start an environment, wait for its one word, and remove it. */
  readonly once: readonly string[];
  readonly start: (name: string) => readonly string[];
  readonly exec: (name: string) => readonly string[];
  readonly stop: (name: string) => readonly string[];
  /** Starts environments together, of which each runs its program: words of a shell, and what removes them. */
  readonly together: { readonly start: string; readonly stop: string };
  /** The processes that serve all environments: what they grow by is the environments'. */
  readonly servers: () => readonly number[];
}

/** Envs that run, beside Debian's podman on the same runtime. */
export const running: Study = { name: 'running', run: study };

async function study(stage: StudyStage): Promise<StudyTable> {
  const dir = join(stage.backing.dir, 'running');
  // Root of an env has to get to its root file system.
  chmodSync(dirname(stage.backing.dir), 0o711);
  const cli = await byrefCli(dir);
  stage.cleanup.defer('close the running root', () => cli.close());
  const tree = join(dir, 'tree');
  await makeTree(tree);
  await cli.run('template', 'import', IMAGE, tree, '--kind', 'os');
  // Its client has to have the daemon's settings, so these are the daemon's alone.
  await startDaemon(stage, { ...cli.env, BYREF_NETWORK: 'none' });
  const runners = [byref(cli, dir), await podman(stage, dir, tree)];
  const rows: string[][] = [];
  const figures: Record<string, number> = {};
  const add = (
    what: string,
    values: readonly number[],
    format: (value: number) => string,
  ): void => {
    const [own = 0, other = 1] = values;
    rows.push([what, ...values.map(format), formatRatio(own / other)]);
    for (const [i, { name }] of runners.entries()) figures[`${what} ${name}`] = values[i] ?? 0;
  };
  const times = await interleaved(stage, runners);
  for (const [what, each] of Object.entries(times)) add(what, each.map(median), formatNs);
  const memory: number[] = [];
  for (const runner of runners) memory.push(await idleBytes(stage, runner));
  add(`memory of one of ${stage.quick ? IDLE.quick : IDLE.full}, idle`, memory, formatBytes);
  for (const [what, value, text] of await manyIdle(stage, cli)) {
    rows.push([what, text, '', '']);
    figures[`${what} byref`] = value;
  }
  return {
    name: 'running',
    title:
      'Running envs, without a network, with a daemon, beside podman (targets: start 0.5, memory 0.25)',
    columns: ['what', ...runners.map(({ name }) => name), 'ratio'],
    rows,
    figures,
  };
}

async function makeTree(tree: string): Promise<void> {
  for (const name of ['etc', 'dev', 'proc', 'sys', 'run', 'tmp'])
    mkdirSync(join(tree, name), { recursive: true });
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0::/:/bin/program\n');
  mkdirSync(join(tree, 'bin'));
  writeFileSync(join(tree, '../program.c'), PROGRAM);
  await run('gcc', ['-static', '-O2', '-o', join(tree, 'bin/program'), join(tree, '../program.c')]);
}

function byref(cli: ByrefCli, dir: string): Runner {
  const file = join(dir, 'waits.yaml');
  writeFileSync(file, `os: ${IMAGE}\nsettings:\n  init: /bin/program wait\n`);
  const words = (...more: string[]): string[] => [BYREF, ...more];
  return {
    name: 'byref',
    env: cli.env,
    once: words('run', '--rm', IMAGE, '/bin/program'),
    start: (name) => words('run', '-d', '--name', name, IMAGE, '/bin/program', 'wait'),
    exec: (name) => words('exec', name, '/bin/program'),
    stop: (name) => words('destroy', '--force', name),
    together: {
      start: `"${BYREF}" create t --from-config "${file}" --count ${TOGETHER} && "${BYREF}" start ${names('t')}`,
      stop: `"${BYREF}" destroy --force ${names('t')}`,
    },
    servers: () => cli.drivers(),
  };
}

async function podman(stage: StudyStage, dir: string, tree: string): Promise<Runner> {
  // podman takes a short path only.
  const state = mkdtempSync('/run/bench-');
  stage.cleanup.defer('remove podman’s state', async () => {
    await run('rm', ['-rf', state]);
  });
  const storage = ['--root', join(dir, 'podman'), '--runroot', state];
  // As byref has it: Debian's runc, and control groups without systemd.
  const all = [
    ...storage,
    '--runtime',
    'runc',
    '--cgroup-manager',
    'cgroupfs',
    '--events-backend',
    'none',
  ];
  const words = (...more: string[]): string[] => ['podman', ...all, ...more];
  stage.cleanup.defer('remove podman’s containers', async () => {
    await run('podman', [...all, 'rm', '--all', '--force']).catch(() => undefined);
    await run('podman', [...all, 'rmi', '--all', '--force']).catch(() => undefined);
  });
  const archive = join(dir, 'tree.tar');
  await run('tar', ['-C', tree, '-cf', archive, '.']);
  await run('podman', [...all, 'import', '--quiet', archive, IMAGE]);
  // This machine may not raise its limit of descriptors.
  const options = [
    '--network',
    'none',
    '--log-driver',
    'k8s-file',
    '--init',
    '--ulimit',
    'nofile=1024:1024',
    '--ulimit',
    'nproc=4096:4096',
  ];
  return {
    name: 'podman',
    env: {},
    once: words('run', '--rm', ...options, IMAGE, '/bin/program'),
    start: (name) => words('run', '-d', '--name', name, ...options, IMAGE, '/bin/program', 'wait'),
    exec: (name) => words('exec', name, '/bin/program'),
    stop: (name) => words('rm', '--force', '--time', '0', name),
    together: {
      // As many at a time as byref has: more take longer.
      start: `seq ${TOGETHER} | xargs -P ${2 * availableParallelism()} -I @ ${words('run', '-d', '--name', 't@', ...options, IMAGE, '/bin/program', 'wait').join(' ')}`,
      stop: `${words('rm', '--force', '--time', '0').join(' ')} ${names('t')}`,
    },
    servers: () => [],
  };
}

const names = (prefix: string): string =>
  Array.from({ length: TOGETHER }, (_, i) => `${prefix}${i + 1}`).join(' ');

async function interleaved(
  stage: StudyStage,
  runners: readonly Runner[],
): Promise<Record<string, number[][]>> {
  const samples: Record<string, number[][]> = {};
  const measure = async (
    what: string,
    at: number,
    words: readonly string[],
    loop: 'run' | 'first-output' = 'run',
  ): Promise<void> => {
    const ns = await work(stage.worker, '/', [loop, ...words], runners[at]!.env);
    samples[what] ??= runners.map(() => []);
    samples[what][at]!.push(ns);
  };
  for (let round = 0; round <= (stage.quick ? ROUNDS.quick : ROUNDS.full); round++) {
    for (const [at, runner] of runners.entries()) {
      await measure('create and start, to the first output', at, runner.once, 'first-output');
      await measure('create, start, output, remove', at, runner.once);
      await measure('create and start', at, runner.start('one'));
      await measure('exec', at, runner.exec('one'));
      await measure('kill and remove', at, runner.stop('one'));
    }
    // The first round starts drivers and fills caches.
    if (round === 0) for (const each of Object.values(samples).flat()) each.length = 0;
  }
  const what = `${TOGETHER} started together`;
  for (let round = 0; round < (stage.quick ? TOGETHER_ROUNDS.quick : TOGETHER_ROUNDS.full); round++)
    for (const [at, { env, together }] of runners.entries()) {
      await measure(what, at, ['/bin/sh', '-c', together.start]);
      await run('sh', ['-c', together.stop], { env, limitMs: MANY_MS });
    }
  return samples;
}

/**
 * The memory that one idle environment takes: the proportional share (PSS) of its processes, what the kernel charges to its control
 * group beside that (page tables, stacks, its objects), and its part of what serves it.
 */
async function idleBytes(stage: StudyStage, runner: Runner): Promise<number> {
  const { env, start, stop } = runner;
  const count = stage.quick ? IDLE.quick : IDLE.full;
  const idle = Array.from({ length: count }, (_, i) => `idle${i}`);
  await onRunner(env, start('first'));
  const bytes = await growth(runner.servers, async () => {
    for (const name of idle) await onRunner(env, start(name));
  });
  for (const name of ['first', ...idle]) await onRunner(env, stop(name));
  return bytes / count;
}

/** Starts very many envs of byref, with one process each. Returns rows: what, number, text. */
async function manyIdle(stage: StudyStage, cli: ByrefCli): Promise<[string, number, string][]> {
  const count = stage.quick ? MANY.quick : MANY.full;
  const { env } = cli;
  const byref = (...words: string[]): Promise<string> =>
    run(BYREF, words, { env, limitMs: MANY_MS });
  await byref('create', 'many', '--os', IMAGE, '--count', String(count));
  await byref('start', 'many1');
  const began = performance.now();
  const bytes = await growth(
    () => cli.drivers(),
    () => byref('start', '--all'),
  );
  const startNs = (performance.now() - began - SETTLE_MS) * 1e6;
  const list = await work(stage.worker, '/', ['run', BYREF, 'list'], env);
  await byref('stop', '--all', '--fast');
  const each = bytes / (count - 1);
  const fit = Math.floor(MACHINE_BYTES / each);
  return [
    [`${count} started by one command`, startNs, formatNs(startNs)],
    [`memory of ${count}, idle, in all`, bytes, formatBytes(bytes)],
    ['how many of these fit into 16 GiB', fit, String(fit)],
    [`list of ${count}`, list, formatNs(list)],
  ];
}

/** Returns the bytes that the processes take which `start` leaves, and by which `servers` grow. */
async function growth(
  servers: () => readonly number[],
  start: () => Promise<unknown>,
): Promise<number> {
  const before = new Set(pids());
  const served = sum(servers().map((pid) => pss(String(pid))));
  await start();
  await pause(SETTLE_MS);
  const added = pids().filter((pid) => !before.has(pid) && isOurs(pid));
  const groups = new Set(added.map(groupOf).filter((group) => group !== null));
  return (
    sum(added.map(pss)) +
    sum([...groups].map(kernelBytes)) +
    sum(servers().map((pid) => pss(String(pid)))) -
    served
  );
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** The programs of an environment, and those that stand beside it. Others may begin on the machine meanwhile. */
const OURS = /^(?:program|catatonit|byref-init|byref-monitor|conmon|podman)/;

const isOurs = (pid: string): boolean => OURS.test(textOf(`/proc/${pid}/comm`));

/** The directory of a process's group, in the hierarchy that counts memory; null for the machine's own. */
function groupOf(pid: string): string | null {
  const text = textOf(`/proc/${pid}/cgroup`);
  const old = /^\d+:memory:(.*)$/m.exec(text)?.[1];
  const group = old ?? /^0::(.*)$/m.exec(text)?.[1] ?? '/';
  const own = /byref|libpod/.test(group);
  return own ? join('/sys/fs/cgroup', old === undefined ? '' : 'memory', group) : null;
}

function kernelBytes(group: string): number {
  const old = textOf(join(group, 'memory.kmem.usage_in_bytes'));
  return Number(old || (/^kernel (\d+)$/m.exec(textOf(join(group, 'memory.stat')))?.[1] ?? 0));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const onRunner = (
  env: Record<string, string>,
  [program = '', ...args]: readonly string[],
): Promise<string> => run(program, args, { env });

const pids = (): string[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name));

/** Returns 0 for a kernel thread, or a process that has just ended. */
function pss(pid: string): number {
  return Number(/^Pss:\s+(\d+)/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
}
