/**
 * The files of an operation, `<run>/operations/ID`. The daemon makes the first three; the process that executes the
 * operation says the rest itself, so that it can be found, and its end is known, whatever becomes of the daemon.
 *
 *     request.json   its words and surroundings (OperationRequest)
 *     stdout, stderr what it has printed
 *     process        "PID START" of its process
 *     ended          its exit code
 *     cancelled      there, if somebody asked it to end
 */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { processIdentity } from '../base/process-identity.ts';

/** The variable of the environment that names an operation's directory to its process. */
const VARIABLE = 'BYREF_OPERATION';

/** A stream that an operation prints to. */
export type Stream = 'stdout' | 'stderr';

/** What is to be executed. */
export interface OperationRequest {
  /** As on the command line, from the verb on. */
  readonly words: readonly string[];
  readonly cwd: string;
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Which of its streams are shown on a terminal. */
  readonly terminals: readonly Stream[];
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
}

/** How a process of an operation ended. */
export interface OperationEnd {
  readonly code: number;
  readonly atMs: number;
}

/** The files of one operation. */
export class OperationFiles {
  readonly path: string;

  constructor(directory: string) {
    this.path = directory;
  }

  /** The path of one file. */
  file(name: 'request.json' | 'stdout' | 'stderr' | 'process' | 'ended' | 'cancelled'): string {
    return path.join(this.path, name);
  }

  /** Writes a small file at once: it is whole, or not there. */
  write(name: 'request.json' | 'process' | 'ended' | 'cancelled', text: string): void {
    const made = `${this.file(name)}.${process.pid}`;
    writeFileSync(made, text, { mode: 0o600 });
    renameSync(made, this.file(name));
  }

  /** Returns a file's text; '' if it is not there. */
  read(name: 'request.json' | 'stdout' | 'stderr' | 'process' | 'ended' | 'cancelled'): string {
    try {
      return readFileSync(this.file(name), 'utf8');
    } catch {
      return '';
    }
  }

  /** Returns how it ended; null if it has not, or that was not seen. */
  get ended(): OperationEnd | null {
    const text = this.read('ended');
    if (text === '') return null;
    return { code: Number(text), atMs: statSync(this.file('ended')).mtimeMs };
  }

  /** Returns the environment for its process. */
  environmentFor({ environment, terminals }: OperationRequest): NodeJS.ProcessEnv {
    return { ...environment, [VARIABLE]: `${terminals.join(',')}:${this.path}` };
  }
}

/** What a process is told of the operation that it executes. */
export interface OwnOperation {
  readonly files: OperationFiles;
  readonly terminals: readonly string[];
}

/** Returns the operation that this process executes; null if it executes none. Programs that it starts are not told. */
export function ownOperation(): OwnOperation | null {
  const { BYREF_OPERATION: told } = process.env;
  delete process.env['BYREF_OPERATION'];
  const at = told?.indexOf(':') ?? -1;
  if (told === undefined || at < 0) return null;
  return { files: new OperationFiles(told.slice(at + 1)), terminals: told.slice(0, at).split(',') };
}

/** Notes that this process executes the operation and, at its end, how it ended. */
export function takePart({ files }: OwnOperation): void {
  files.write('process', processIdentity(process.pid));
  process.once('exit', (code) => files.write('ended', String(code)));
}
