/** The daemon's runner: a process that executes short commands, and is replaced when it ends or hangs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { ByrefError } from '../base/error.ts';
import { COMMAND, encodeMessage, encodeRequest, MessageReader } from '../ipc/command-protocol.ts';
import { entryPoint } from '../ipc/entry-point.ts';
import type { Log } from '../observe/log.ts';

/** The outcome of a command. */
export interface CommandRun {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** A command needs a process of its own: the runner does not execute it. */
export class Declined extends Error {}

const READY_MS = 20_000;
/** A runner that does not accept a command for this long hangs: it is replaced. */
const ACCEPT_MS = 3_000;
/** How long the daemon waits before it starts a runner again that has ended. */
const AGAIN_MS = 500;

/** Starts the runner, and keeps one running. */
export class RunnerLink {
  private readonly root: string;
  private readonly socket: string;
  private readonly log: Log;
  private child: ChildProcess | null = null;
  private ready: Promise<void>;
  private closed = false;

  constructor(root: string, socket: string, log: Log) {
    this.root = root;
    this.socket = socket;
    this.log = log;
    this.ready = this.start();
    this.ready.catch(() => undefined);
  }

  /** Resolves when it listens for the first time. @throws ByrefError 'error' */
  get started(): Promise<void> {
    return this.ready;
  }

  /** The id of its process; null if there is none now. */
  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  /** Executes words. @throws Declined, ByrefError 'busy' if the runner hangs, 'error' if it ended meanwhile */
  async run(words: readonly string[]): Promise<CommandRun> {
    await this.ready;
    const { child } = this;
    try {
      return await execute(this.socket, words);
    } catch (error) {
      // Another command may have noticed it first.
      if (error instanceof Hangs && this.child === child) this.replace();
      throw error;
    }
  }

  /** Lets the runner finish what it has begun, and end. */
  close(): void {
    this.closed = true;
    this.child?.stdin?.end();
  }

  /** Starts another one. The one that hangs ends when what it waits for does. */
  private replace(): void {
    this.log.error({ runner: this.pid }, 'the runner hangs: another one takes its place');
    this.child?.removeAllListeners('exit');
    this.child?.stdin?.end();
    this.ready = this.start();
    this.ready.catch(() => undefined);
  }

  private start(): Promise<void> {
    const words = [...entryPoint('cli/runner'), this.root, this.socket];
    const env = { ...process.env, BYREF_DAEMON: 'no' };
    const child = spawn(process.execPath, words, {
      cwd: '/',
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child = child;
    child.stdin.on('error', () => undefined);
    child.once('exit', (code, signal) => {
      if (this.closed) return;
      this.log.error({ code, signal }, 'the runner ended: it is started again');
      this.child = null;
      this.ready = new Promise((resolve) => setTimeout(resolve, AGAIN_MS)).then(() => this.start());
      this.ready.catch(() => undefined);
    });
    return new Promise((resolve, reject) => {
      const hint = 'The log of the daemon says why.';
      const late = setTimeout(() => {
        // Its end starts another one.
        child.kill('SIGKILL');
        reject(new ByrefError('error', 'the runner did not start', hint));
      }, READY_MS);
      late.unref();
      child.stdout.once('data', () => {
        clearTimeout(late);
        // What it logs afterwards is the daemon's log, too.
        child.stdout.pipe(process.stderr);
        resolve();
      });
      child.once('error', reject);
    });
  }
}

/** The runner did not accept a command in time. */
class Hangs extends ByrefError {}

function execute(socket: string, words: readonly string[]): Promise<CommandRun> {
  const terminals = [false, false, false] as const;
  const request = encodeRequest({ terminals, columns: 0, term: '', pid: process.pid, words });
  return new Promise((resolve, reject) => {
    const peer = connect(socket);
    const reader = new MessageReader();
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const end = (): void => {
      clearTimeout(late);
      peer.destroy();
    };
    const late = setTimeout(() => {
      end();
      reject(new Hangs('busy', 'the runner does not answer', 'Try again.'));
    }, ACCEPT_MS);
    peer.on('error', (error) => {
      end();
      reject(new ByrefError('busy', `the runner can't be reached: ${error.message}`, 'Try again.'));
    });
    peer.on('close', () => {
      end();
      reject(new ByrefError('error', 'the runner ended before the command did', 'Try again.'));
    });
    peer.on('data', (chunk: Buffer) => {
      for (const { type, payload } of reader.take(chunk)) {
        if (type === COMMAND.accept) {
          clearTimeout(late);
          peer.write(encodeMessage(COMMAND.go));
        } else if (type === COMMAND.stdout) stdout.push(Buffer.from(payload));
        else if (type === COMMAND.stderr) stderr.push(Buffer.from(payload));
        else if (type === COMMAND.exit) {
          end();
          const code = Number(payload.toString());
          resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
        } else {
          end();
          reject(new Declined(`the runner does not execute ${words.join(' ')}`));
        }
      }
    });
    peer.write(encodeMessage(COMMAND.request, request));
  });
}
