import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { BYREF, type ByrefCli, byrefCli } from '../byref-cli.ts';
import { pause, run } from '../process.ts';
import type { StudyTable } from '../results.ts';
import { formatBytes, formatNs, formatRatio, median } from '../stats.ts';
import { work } from '../worker.ts';
import type { Study, StudyStage } from './study.ts';

const ROUNDS = { quick: 5, full: 15 };
/** Idle envs whose memory is measured. */
const IDLE = { quick: 20, full: 50 };
const IMAGE = 'byref-bench';
const SETTLE_MS = 2000;

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
  const runners = [byref(cli), await podman(stage, dir, tree)];
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
  add('memory of its processes, idle', memory, formatBytes);
  return {
    name: 'running',
    title: 'Running envs, without a network, beside podman (targets: start 0.5, memory 0.25)',
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

function byref(cli: ByrefCli): Runner {
  const words = (...more: string[]): string[] => [BYREF, ...more];
  return {
    name: 'byref',
    env: { ...cli.env, BYREF_NETWORK: 'none' },
    once: words('run', '--rm', IMAGE, '/bin/program'),
    start: (name) => words('run', '-d', '--name', name, IMAGE, '/bin/program', 'wait'),
    exec: (name) => words('exec', name, '/bin/program'),
    stop: (name) => words('destroy', '--force', name),
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
  };
}

async function interleaved(
  stage: StudyStage,
  runners: readonly Runner[],
): Promise<Record<string, number[][]>> {
  const samples: Record<string, number[][]> = {};
  const measure = async (what: string, at: number, words: readonly string[]): Promise<void> => {
    const ns = await work(stage.worker, '/', ['run', ...words], runners[at]!.env);
    samples[what] ??= runners.map(() => []);
    samples[what][at]!.push(ns);
  };
  for (let round = 0; round <= (stage.quick ? ROUNDS.quick : ROUNDS.full); round++) {
    for (const [at, runner] of runners.entries()) {
      await measure('create, start, first output, remove', at, runner.once);
      await measure('create and start', at, runner.start('one'));
      await measure('exec', at, runner.exec('one'));
      await measure('kill and remove', at, runner.stop('one'));
    }
    // The first round starts drivers and fills caches.
    if (round === 0) for (const each of Object.values(samples).flat()) each.length = 0;
  }
  return samples;
}

/** The memory of the processes that one idle environment takes: their proportional share (PSS), without the kernel's part. */
async function idleBytes(stage: StudyStage, { env, start, stop }: Runner): Promise<number> {
  const count = stage.quick ? IDLE.quick : IDLE.full;
  const names = Array.from({ length: count }, (_, i) => `idle${i}`);
  await onRunner(env, start('first'));
  const before = new Set(pids());
  for (const name of names) await onRunner(env, start(name));
  await pause(SETTLE_MS);
  const added = pids().filter((pid) => !before.has(pid));
  const bytes = added.reduce((sum, pid) => sum + pss(pid), 0) / count;
  for (const name of ['first', ...names]) await onRunner(env, stop(name));
  return bytes;
}

const onRunner = (
  env: Record<string, string>,
  [program = '', ...args]: readonly string[],
): Promise<string> => run(program, args, { env });

const pids = (): string[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name));

/** Returns 0 for a kernel thread, or a process that has just ended. */
function pss(pid: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
