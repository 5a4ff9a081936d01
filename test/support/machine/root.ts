import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Finding } from '../../../src/manager/upkeep/fsck/finding.ts';
import type { FsckResult } from '../../../src/manager/upkeep/fsck/report.ts';
import { removeTableLock } from '../../../src/native/table-lock.ts';
import type { EnvInfo } from '../../../src/services/env-info.ts';
import type { HistoryEntry } from '../../../src/services/history.ts';
import { initRoot } from '../../../src/store/root.ts';
import { mountsBelow, processesOf } from './leftovers.ts';
import { BYREF, type Finished, type RunOptions, runByref, sh } from './program.ts';
import { Services } from './services.ts';
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
  /** null where commands have variables that this process can't have, such as a failpoint. */
  private readonly services: Services | null;
  private readonly running: ChildProcess[] = [];

  private constructor(base: string, extra: NodeJS.ProcessEnv) {
    this.base = base;
    this.path = path.join(base, 'root');
    // A file system of the test's own is for the root.
    this.tmp = path.dirname(base) === tmpdir() ? path.join(base, 'tmp') : '/var/tmp';
    mkdirSync(this.tmp, { recursive: true });
    const own = {
      BYREF_ROOT: this.path,
      BYREF_RUN: this.runDir,
      BYREF_IDLE_EXIT_MS: String(IDLE_EXIT_MS),
      // What others' builds leave when they are killed is not this test's.
      BYREF_TMPDIR: this.tmp,
      // A driver that a test has killed stays dead, unless the test is about that.
      BYREF_RESUME: '0',
      // The machine's network is not the tests'.
      BYREF_NETWORK: 'none',
    };
    this.env = { ...process.env, ...own, ...extra };
    this.services = Object.keys(extra).length === 0 ? new Services(this.path, own) : null;
    this.watchdog = startWatchdog(base);
  }

  /**
   * Makes a root. @param extra environment of its processes
   * @param parent the directory to make it in: a file system of the test's own, or the temporary one
   */
  static async create(extra: NodeJS.ProcessEnv = {}, parent = tmpdir()): Promise<TestRoot> {
    const root = new TestRoot(mkdtempSync(path.join(parent, 'byref-root-')), extra);
    // As `byref init --shards 1`, without its start: there are hundreds of roots.
    await initRoot(root.path, { shards: 1 });
    return root;
  }

  /** Runs a command on this root. */
  byref(...args: string[]): Promise<Finished> {
    return this.run(args);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return runByref(args, { env: this.env, ...options });
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
    return this.services?.history() ?? this.json<HistoryEntry[]>('history');
  }

  /** Returns what `byref fsck --full` finds. */
  async findings(): Promise<readonly Finding[]> {
    if (this.services) return this.services.findings();
    return (await this.json<FsckResult>('fsck', '--full')).findings;
  }

  /** Imports the next version of a template, as `byref template import` does. */
  async import(template: string, source: string, kind?: 'os' | 'app'): Promise<void> {
    if (this.services) await this.services.importTree(template, source, kind);
    else await this.ok('template', 'import', template, source, ...(kind ? ['--kind', kind] : []));
  }

  /** Makes an env, as `byref create` does. */
  async create(env: string, os: string, ...apps: string[]): Promise<void> {
    if (this.services) await this.services.create(env, os, apps);
    else await this.ok('create', env, '--os', os, ...apps.flatMap((app) => ['--app', app]));
  }

  /** Unmounts envs, as `byref umount` does; all of them if none is named. */
  async umount(...envs: string[]): Promise<void> {
    if (this.services) await this.services.umount(envs);
    else await this.ok('umount', ...(envs.length > 0 ? envs : ['--all']));
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

  /** Mounts an env as `byref mount` does, with its options; returns the mount point. */
  async mount(env: string, ...options: string[]): Promise<string> {
    if (options.length === 0) {
      const mountpoint = await this.services?.mount(env);
      if (mountpoint) return mountpoint;
    }
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
