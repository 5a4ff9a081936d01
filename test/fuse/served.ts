import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { promisify } from 'node:util';
import { unmount } from '../../src/driver/fuse/mount.ts';

const run = promisify(execFile);
const here = import.meta.dirname;
const TSX = ['--import', 'tsx'];
/** No test of this directory takes longer; past it, the mount is taken away and its users get errors. */
const WATCHDOG_MS = 50_000;

/** The small file system, mounted by a child process. */
export class Served {
  readonly mountpoint: string;
  private readonly root: string;
  private readonly server: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;
  private readonly watchdog: NodeJS.Timeout;

  constructor(flags: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.root = mkdtempSync(path.join(tmpdir(), 'byref-fuse-'));
    this.mountpoint = path.join(this.root, 'mnt');
    mkdirSync(this.mountpoint);
    const args = [...TSX, path.join(here, 'serve.ts'), this.mountpoint, this.root, ...flags];
    this.server = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    this.reader = createInterface({ input: this.server.stdout as NodeJS.ReadableStream });
    this.lines = this.reader[Symbol.asyncIterator]();
    this.watchdog = setTimeout(() => unmount(this.mountpoint, true), WATCHDOG_MS);
  }

  /** The next line the server prints, as JSON: first what was granted, at the end statistics. */
  async line<T>(): Promise<T> {
    const next = await this.lines.next();
    if (next.done === true) throw new Error('the server ended early');
    return JSON.parse(next.value) as T;
  }

  /** Runs one of this directory's scripts on the mount; its standard output. */
  async client(script: string, ...args: string[]): Promise<string> {
    const file = path.join(here, script);
    const { stdout } = await run(process.execPath, [...TSX, file, this.mountpoint, ...args]);
    return stdout;
  }

  async shell(command: string): Promise<string> {
    const { stdout } = await run('sh', ['-c', command], { cwd: '/', timeout: WATCHDOG_MS });
    return stdout;
  }

  signal(signal: NodeJS.Signals): void {
    this.server.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.watchdog);
    unmount(this.mountpoint, true);
    this.reader.close();
    if (this.server.exitCode === null && this.server.signalCode === null) {
      const exited = once(this.server, 'exit');
      const force = setTimeout(() => this.server.kill('SIGKILL'), 3000);
      await exited;
      clearTimeout(force);
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}
