/** The operations of a daemon: commands that take long, each a process of its own that outlives its client and the daemon. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setVariables } from '../base/environment.ts';
import { ByrefError } from '../base/error.ts';
import { EXIT } from '../base/exit-codes.ts';
import { ownWords } from '../base/own-words.ts';
import { livingProcess } from '../base/process-identity.ts';
import { shellStatus } from '../base/shell-status.ts';
import { refuseNul } from '../ipc/command-protocol.ts';
import { commandLineProgram } from '../ipc/entry-point.ts';
import { OperationFiles, type OperationRequest } from '../ipc/operation-files.ts';
import { holdOpen, isHeld } from '../native/lock-file.ts';
import type { Operation, OperationState } from '../services/operation.ts';
import { errorIn } from './errors.ts';

/** What an operation begins with; the rest is as the daemon has it. */
export type OperationWishes = Pick<OperationRequest, 'words'> &
  Partial<Pick<OperationRequest, 'cwd' | 'environment' | 'terminals'>> & {
    /** Gets the processor only when nothing else wants it. */
    readonly isBackground?: boolean;
  };

const POLL_MS = 200;
/** Results and progress that are longer are not parsed. */
const RESULT_MAX = 64 * 1024 * 1024;

/** Is told when an operation begins or ends. */
export type OnOperation = (what: 'started' | 'ended', operation: Operation) => void;

/** The operations of a root. */
export class Operations {
  private readonly directory: string;
  private readonly root: string;
  private readonly keep: number;
  private readonly onChange: OnOperation;
  /** Those that run, each with a promise that resolves at its end. */
  private readonly running = new Map<number, Promise<void>>();

  /**
   * Finds operations that an earlier daemon began.
   * @param keep how many that have ended are kept
   */
  constructor(root: string, directory: string, keep: number, onChange: OnOperation) {
    this.root = root;
    this.directory = directory;
    this.keep = keep;
    this.onChange = onChange;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const id of this.ids()) {
      // A daemon that was killed when it had only made the directory.
      if (requestIn(this.files(id)) === null) this.remove(id);
      else if (this.files(id).ended === null) this.follow(id);
    }
  }

  /** Begins one. @throws ByrefError 'usage' for words that no command line can have */
  start(wishes: OperationWishes): Operation {
    const { words, cwd = '/', environment, terminals = [], isBackground = false } = wishes;
    refuseNul([...words, cwd, ...Object.entries(environment ?? {}).flat()]);
    const request: OperationRequest = {
      words: ['--root', this.root, ...words],
      cwd,
      environment: environment ?? setVariables(),
      terminals,
      startedMs: Date.now(),
    };
    const id = this.makeDirectory();
    const files = this.files(id);
    files.write('request.json', JSON.stringify(request));
    this.spawn(id, files, request, isBackground);
    this.follow(id);
    const operation = this.get(id);
    this.onChange('started', operation);
    return operation;
  }

  /** Lists all, newest first. */
  list(): Operation[] {
    return this.ids()
      .toReversed()
      .map((id) => this.get(id));
  }

  /** Returns one. @throws ByrefError 'notFound' */
  get(id: number): Operation {
    const files = this.files(id);
    const request = requestIn(files);
    if (request === null) {
      const message = `there is no operation ${id}`;
      throw new ByrefError('notFound', message, 'See byref operation list.');
    }
    const pid = livingProcess(files.read('process'));
    const { ended } = files;
    const state = this.stateOf(id, files, ended?.code ?? null);
    const stderr = files.read('stderr');
    return {
      id,
      // Without the root, which is the daemon's.
      words: request.words.slice(2),
      state,
      pid: state === 'running' ? pid : null,
      started: new Date(request.startedMs).toISOString(),
      ended: ended === null ? null : new Date(ended.atMs).toISOString(),
      exitCode: ended?.code ?? null,
      progress: progressIn(stderr),
      result: state === 'running' ? null : resultIn(files, request),
      error: errorIn(stderr)?.error ?? null,
    };
  }

  /** Returns the files of one. @throws ByrefError as get() */
  filesOf(id: number): OperationFiles {
    this.get(id);
    return this.files(id);
  }

  /** Waits for the end of one. Returns it as it is then, or when the signal ends the wait. @throws ByrefError as get() */
  async wait(id: number, signal: AbortSignal): Promise<Operation> {
    const end = this.running.get(id) ?? Promise.resolve();
    const given = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([end, given]);
    return this.get(id);
  }

  /** Asks one to end: the first time as Ctrl-C does. @throws ByrefError as get() */
  cancel(id: number): Operation {
    const operation = this.get(id);
    const { pid } = operation;
    const files = this.files(id);
    if (operation.state !== 'running' || pid === null) return operation;
    const again = existsSync(files.file('cancelled'));
    files.write('cancelled', '');
    // Its whole group, as a terminal does: programs that it waits for, too.
    try {
      process.kill(-pid, again ? 'SIGTERM' : 'SIGINT');
    } catch (error) {
      // It has just ended.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    return this.get(id);
  }

  /** Returns true if it runs; costs less than get(). */
  runs(id: number): boolean {
    return this.running.has(id);
  }

  /** Returns how many run. */
  get runningCount(): number {
    return this.running.size;
  }

  private stateOf(id: number, files: OperationFiles, code: number | null): OperationState {
    if (code === null) return this.running.has(id) ? 'running' : 'lost';
    // Something is left to do for somebody: that is a result, and no error.
    if (code === EXIT.ok || code === EXIT.pending) return 'done';
    return existsSync(files.file('cancelled')) ? 'cancelled' : 'failed';
  }

  private spawn(
    id: number,
    files: OperationFiles,
    request: OperationRequest,
    isBackground: boolean,
  ): void {
    const [program = '', ...before] = commandLineProgram();
    const stdout = openSync(files.file('stdout'), 'a', 0o600);
    // Its process holds the lock from its begin on, before it can say who it is.
    holdOpen(stdout);
    const stderr = openSync(files.file('stderr'), 'a', 0o600);
    const child = spawn(program, [...before, ...request.words], {
      detached: true,
      cwd: request.cwd,
      env: { ...files.environmentFor(request), BYREF_DAEMON: 'no' },
      stdio: ['ignore', stdout, stderr],
    });
    closeSync(stdout);
    closeSync(stderr);
    child.unref();
    if (isBackground && child.pid !== undefined) beNice(child.pid);
    const end = new Promise<void>((resolve) => {
      const ended = (code: number): void => {
        if (files.ended === null) files.write('ended', String(code));
        resolve();
      };
      child.once('error', () => ended(EXIT.error));
      child.once('exit', (code, signal) => ended(shellStatus(code, signal)));
    });
    this.running.set(id, end);
  }

  /** Notes the end of one; of a process that is not our child, it has to look. */
  private follow(id: number): void {
    const end = this.running.get(id) ?? this.endOfStranger(this.files(id));
    const noted = end.then(() => {
      this.running.delete(id);
      this.onChange('ended', this.get(id));
      this.removeOld();
    });
    this.running.set(id, noted);
  }

  private async endOfStranger(files: OperationFiles): Promise<void> {
    for (;;) {
      if (files.ended !== null) return;
      const said = files.read('process');
      const lives =
        said === '' ? isHeld(files.file('stdout'), 'at-all') : livingProcess(said) !== null;
      if (!lives) {
        // It wrote how it ended just before it did.
        await sleep(POLL_MS);
        return;
      }
      await sleep(POLL_MS, undefined, { ref: false });
    }
  }

  private makeDirectory(): number {
    for (let id = (this.ids().at(-1) ?? 0) + 1; ; id++) {
      try {
        mkdirSync(path.join(this.directory, String(id)), { mode: 0o700 });
        return id;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  private removeOld(): void {
    const ended = this.ids().filter((id) => !this.running.has(id));
    // The newest one stays in any case: its number must not be given again.
    for (const id of ended.slice(0, Math.max(0, ended.length - Math.max(1, this.keep)))) {
      this.remove(id);
    }
  }

  private remove(id: number): void {
    rmSync(path.join(this.directory, String(id)), { recursive: true, force: true });
  }

  private ids(): number[] {
    return readdirSync(this.directory)
      .filter((name) => /^[1-9]\d*$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  }

  private files(id: number): OperationFiles {
    return new OperationFiles(path.join(this.directory, String(id)));
  }
}

/** Gives a process the lowest priority. */
function beNice(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It ended just now.
  }
}

function requestIn(files: OperationFiles): OperationRequest | null {
  const text = files.read('request.json');
  return text === '' ? null : (JSON.parse(text) as OperationRequest);
}

/** Returns how far a command said, with --json, that it is; null if it said nothing. */
function progressIn(stderr: string): unknown {
  const line = stderr.split('\n').findLast((each) => each.startsWith('{"progress":'));
  if (line === undefined) return null;
  return (parsed(line) as { progress?: unknown } | null)?.progress ?? null;
}

function resultIn(files: OperationFiles, { words }: OperationRequest): unknown {
  if (!ownWords(words).includes('--json')) return null;
  if (statSync(files.file('stdout')).size > RESULT_MAX) return null;
  return parsed(files.read('stdout'));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
