import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';

/** A path or name: UTF-8 text, or bytes where it may not be UTF-8. */
export type PathLike = string | Buffer;

/** An argument of a call. Text is passed as a NUL-terminated C string, a Buffer by its address. */
export type Argument = number | PathLike;

type CallName =
  | 'openat'
  | 'close'
  | 'read'
  | 'write'
  | 'pread64'
  | 'pwrite64'
  | 'fallocate'
  | 'lseek'
  | 'copy_file_range'
  | 'renameat2'
  | 'name_to_handle_at'
  | 'open_by_handle_at'
  | 'inotify_init1'
  | 'inotify_add_watch'
  | 'inotify_rm_watch'
  | 'flock'
  | 'fcntl'
  | 'setxattr'
  | 'lsetxattr'
  | 'fsetxattr'
  | 'getxattr'
  | 'lgetxattr'
  | 'fgetxattr'
  | 'listxattr'
  | 'llistxattr'
  | 'flistxattr'
  | 'removexattr'
  | 'lremovexattr'
  | 'fremovexattr'
  | 'utimensat'
  | 'linkat'
  | 'unlinkat'
  | 'statx'
  | 'mknodat'
  | 'mkdirat'
  | 'symlinkat'
  | 'readlinkat'
  | 'fchmod'
  | 'fchmodat'
  | 'fchownat'
  | 'fchown'
  | 'faccessat2'
  | 'syncfs'
  | 'fsync'
  | 'fdatasync'
  | 'sync_file_range'
  | 'mmap'
  | 'munmap'
  | 'msync'
  | 'mremap'
  | 'madvise'
  | 'setresuid'
  | 'setresgid'
  | 'setgroups'
  | 'umask'
  | 'chdir'
  | 'fchdir'
  | 'getcwd'
  | 'getdents64'
  | 'ftruncate'
  | 'truncate'
  | 'statfs'
  | 'sendfile'
  | 'splice'
  | 'dup'
  | 'prlimit64'
  | 'exit'
  | 'getpid'
  | 'preadv2'
  | 'pwritev2'
  | 'ioctl'
  | 'readahead'
  | 'pipe2'
  | 'nanosleep'
  | 'kill'
  | 'fadvise64'
  | 'chroot'
  | 'unshare'
  | 'copy';

/** What crosses to the add-on: a bigint is a 64-bit value, or in a forked program an earlier step. */
type NativeArgument = number | bigint | Buffer;

interface Addon {
  readonly numbers: Readonly<Record<CallName, number>>;
  call(number: number, ...args: NativeArgument[]): number;
  addressOf(buffer: Buffer): number;
  start(steps: readonly NativeArgument[][]): [pid: number, results: number];
  finish(pid: number, results: number): number[];
}

const addon = createRequire(import.meta.url)('./build/Release/syscalls.node') as Addon;

/** Errnos that Node has no name for, or another than the manual pages. */
const UNKNOWN_TO_NODE: Readonly<Record<number, string>> = { [-95]: 'EOPNOTSUPP', [-116]: 'ESTALE' };

/** A negative errno of a raw call, as Node's own file calls throw it. */
export class SyscallError extends Error {
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = UNKNOWN_TO_NODE[errno] ?? getSystemErrorName(errno);
    super(`${call}: ${code}`);
    this.name = 'SyscallError';
    this.code = code;
  }
}

export const cString = (text: PathLike): Buffer =>
  Buffer.concat([typeof text === 'string' ? Buffer.from(text) : text, Buffer.of(0)]);

const toNative = (arg: Argument | bigint): NativeArgument =>
  typeof arg === 'string' ? cString(arg) : arg;

/** Calls `name`; returns >= 0 or -errno. A path given as bytes needs its own NUL: see cString. */
export const rawCall = (name: CallName, ...args: (Argument | bigint)[]): number =>
  addon.call(addon.numbers[name], ...args.map(toNative));

/** Calls `name`; throws a SyscallError for an errno. */
export function call(name: CallName, ...args: (Argument | bigint)[]): number {
  const result = rawCall(name, ...args);
  if (result < 0 && result > -4096) throw new SyscallError(name, result);
  return result;
}

export const addressOf = (buffer: Buffer): number => addon.addressOf(buffer);

/** Stands for the result of step `index` (from 0) in a later step of the same program. */
export class StepResult {
  readonly index: number;
  constructor(index: number) {
    this.index = index;
  }
}
export const resultOf = (index: number): StepResult => new StepResult(index);

/** One call of a forked program. */
export type Step = readonly [name: CallName, ...args: (Argument | StepResult)[]];

export interface Outcome {
  /** Results of the steps that completed: >= 0 or -errno. */
  readonly results: readonly number[];
  readonly exitCode: number;
  /** The signal that ended the program, or 0. */
  readonly signal: number;
}

export interface RunningProgram {
  readonly pid: number;
  /** Waits for its end. */
  finish(): Outcome;
}

/** Forks, and runs the steps one after another in the child, whatever each returns. */
export function startProgram(steps: readonly Step[]): RunningProgram {
  const native = steps.map(([name, ...args]) => [
    addon.numbers[name],
    ...args.map((arg) => (arg instanceof StepResult ? BigInt(arg.index) : toNative(arg))),
  ]);
  const [pid, address] = addon.start(native);
  if (pid < 0) throw new SyscallError('fork', pid);
  return {
    pid,
    finish() {
      const [status = 0, ...results] = addon.finish(pid, address);
      return { results, exitCode: (status >> 8) & 0xff, signal: status & 0x7f };
    },
  };
}

export const runProgram = (steps: readonly Step[]): Outcome => startProgram(steps).finish();
