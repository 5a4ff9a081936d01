import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Finding } from '../../../src/manager/upkeep/fsck/finding.ts';
import type { FsckResult } from '../../../src/manager/upkeep/fsck/report.ts';
import { removeTableLock } from '../../../src/native/table-lock.ts';
import type { EnvInfo } from '../../../src/services/env-info.ts';
import type { HistoryEntry } from '../../../src/services/history.ts';
import { serveCommand } from './commands.ts';
import { mountsBelow, processesOf } from './leftovers.ts';
import { BYREF, type Finished, output, type RunOptions, runByref, sh } from './program.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

/** How long processes without mounts stay in tests. */
const IDLE_EXIT_MS = 300;
const GONE_WITHIN_MS = 10_000;

/**
 * A byref root of one test, with its own processes: nothing of it is seen by other tests. dispose()
 * unmounts all, and fails the test if anything is left.
 */
export class TestRoot {
  /** Holds all below; removed at the end. */
  readonly base: string;
  readonly path: string;
  /** Where builds have their directories. */
  readonly tmp: string;
  readonly env: NodeJS.ProcessEnv;
  /** Its sockets and locks: in a short place, since the paths of sockets are bounded and TMPDIR may be a long one. */
  private readonly runDir = mkdtempSync('/tmp/byref-run-');
  private readonly watchdog: Watchdog;
  private readonly running: ChildProcess[] = [];

  private constructor(base: string, extra: NodeJS.ProcessEnv) {
    this.base = base;
    this.path = path.join(base, 'root');
    // A file system of the test's own is for the root.
    this.tmp = path.dirname(base) === tmpdir() ? path.join(base, 'tmp') : '/var/tmp';
    mkdirSync(this.tmp, { recursive: true });
    this.env = {
      ...process.env,
      BYREF_ROOT: this.path,
      BYREF_RUN: this.runDir,
      BYREF_IDLE_EXIT_MS: String(IDLE_EXIT_MS),
      // What others' builds leave when they are killed is not this test's.
      BYREF_TMPDIR: this.tmp,
      // A driver that a test has killed stays dead, unless the test is about that.
      BYREF_RESUME: '0',
      // The machine's network is not the tests'.
      BYREF_NETWORK: 'none',
      ...extra,
    };
    this.watchdog = startWatchdog(base);
  }

  /**
   * Makes a root. @param extra environment of its processes
   * @param parent the directory to make it in: a file system of the test's own, or the temporary one
   * @param stock the directory of a root to copy, as stockRoot() makes it
   */
  static async create(
    extra: NodeJS.ProcessEnv = {},
    parent = tmpdir(),
    stock?: string,
  ): Promise<TestRoot> {
    const root = new TestRoot(mkdtempSync(path.join(parent, 'byref-root-')), extra);
    if (stock !== undefined) {
      await output('cp', ['--archive', stock, root.path]);
      return root;
    }
    await root.ok('init', '--shards', '1');
    return root;
  }

  /** To be called now and then by a test that runs no command for minutes: it would be taken to hang. */
  goesOn(): void {
    this.watchdog.alive();
  }

  /** Runs a command on this root. */
  byref(...args: string[]): Promise<Finished> {
    return this.run(args);
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    this.goesOn();
    const { timeout, ...others } = options;
    const isPlain = Object.keys(others).length === 0 && !this.hasDaemon();
    const served = isPlain ? await serveCommand(args, this.env, timeout) : null;
    return served ?? runByref(args, { env: this.env, ...options });
  }

  /** A client of a daemon is a program of its own. */
  private hasDaemon(): boolean {
    const roots = readdirSync(this.runDir, { withFileTypes: true });
    return roots.some((each) => existsSync(path.join(this.runDir, each.name, 'daemon.sock')));
  }

  /** Runs a command that must succeed; its standard output. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    expect(code, `byref ${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
    return stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T;
  }

  /** Returns what `byref info` says. */
  info(env: string): Promise<EnvInfo> {
    return this.json<EnvInfo>('info', env);
  }

  /** Returns what `byref history` lists. */
  history(): Promise<HistoryEntry[]> {
    return this.json<HistoryEntry[]>('history');
  }

  /** Returns what `byref fsck --full` finds. */
  async findings(): Promise<readonly Finding[]> {
    const { stdout, stderr } = await this.byref('fsck', '--full', '--json');
    expect(stdout, stderr).not.toBe('');
    return (JSON.parse(stdout) as FsckResult).findings;
  }

  /** Imports the next version of a template. */
  async import(template: string, source: string, kind?: 'os' | 'app'): Promise<void> {
    await this.ok('template', 'import', template, source, ...(kind ? ['--kind', kind] : []));
  }

  /** Makes an env. */
  async create(env: string, os: string, ...apps: string[]): Promise<void> {
    await this.ok('create', env, '--os', os, ...apps.flatMap((app) => ['--app', app]));
  }

  /** Unmounts envs; all of them if none is named. */
  async umount(...envs: string[]): Promise<void> {
    await this.ok('umount', ...(envs.length > 0 ? envs : ['--all']));
  }

  /** A directory of this test to make a template's tree in. */
  directory(name: string): string {
    const directory = path.join(this.base, name);
    mkdirSync(directory, { recursive: true });
    return directory;
  }

  /** Imports a directory, makes an env of it, mounts it; its mount point. */
  async mounted(env: string, source: string, ...options: string[]): Promise<string> {
    const template = `template-of-${env}`;
    await this.import(template, source);
    await this.create(env, template);
    return this.mount(env, ...options);
  }

  /** Mounts an env, with the options of `byref mount`; returns the mount point. */
  async mount(env: string, ...options: string[]): Promise<string> {
    const mounted = await this.json<{ mountpoint: string }[]>('mount', env, ...options);
    return mounted[0]!.mountpoint;
  }

  /** Runs a script in a directory of a mount; its $1 is byref, which acts on this root. */
  shell(script: string, cwd: string): Promise<Finished> {
    return sh(script, [BYREF], { cwd, env: this.env });
  }

  /** A script that goes on until it is killed, or the test ends; its $1, $2, ... are `args`. */
  background(script: string, ...args: string[]): ChildProcess {
    const child = spawn('bash', ['-euc', script, 'sh', ...args], {
      env: this.env,
      cwd: '/',
      stdio: 'ignore',
      detached: true,
    });
    this.running.push(child);
    return child;
  }

  /** Drivers and holder of this root, by command line. */
  processes(): string[] {
    return processesOf(this.path);
  }

  async dispose(): Promise<void> {
    try {
      await Promise.all(this.running.map(endGroup));
      if (mountsBelow(this.base).length > 0) await this.run(['umount', '--all']);
      expect(mountsBelow(this.base), 'mounts left').toEqual([]);
      // They would wait for the next mount.
      this.endIdle();
      await this.waitForNoProcess();
    } finally {
      await this.watchdog.stop();
      rmSync(this.runDir, { recursive: true, force: true });
      this.removeTableLocks();
      if (mountsBelow(this.base).length === 0) rmSync(this.base, { recursive: true, force: true });
    }
  }

  /** They are elsewhere on a file system like Btrfs. */
  private removeTableLocks(): void {
    const envs = path.join(this.path, 'envs');
    const ids = existsSync(envs) ? readdirSync(envs) : [];
    const tables = ids.map((id) => path.join(envs, id, 'link'));
    for (const dir of [path.join(this.path, 'meta'), ...tables]) removeTableLock(dir);
  }

  /** Who still serves something does not listen. */
  private endIdle(): void {
    for (const line of this.processes()) {
      try {
        process.kill(Number.parseInt(line, 10), 'SIGTERM');
      } catch {
        // It ended just now.
      }
    }
  }

  private async waitForNoProcess(): Promise<void> {
    const deadline = Date.now() + GONE_WITHIN_MS;
    while (this.processes().length > 0 && Date.now() < deadline) await sleep(10);
    expect(this.processes(), 'processes left').toEqual([]);
  }
}

/**
 * Returns the directory of a root that tests begin with, each with a copy of its own: it is made once, which takes longer than
 * to copy it.
 * @param directory where it is, for as long as it is needed; if something is there, it is that
 */
export async function stockRoot(
  directory: string,
  fill: (root: TestRoot) => Promise<void>,
): Promise<string> {
  if (existsSync(directory)) return directory;
  const root = await TestRoot.create();
  try {
    await fill(root);
    renameSync(root.path, directory);
  } catch (error) {
    // Unless another worker was faster.
    if (!existsSync(directory)) throw error;
  } finally {
    await root.dispose();
  }
  return directory;
}

/** Ends a script and all that it started. */
async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // All of it ended by itself.
  }
  await exited;
}
