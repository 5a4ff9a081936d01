/**
 * Translates requests of the add-on to Operations and back. Every request of the add-on ends by one call of its
 * signal, with a result and what else the add-on needs.
 */
import { EIO, ERANGE } from '../../base/errno.ts';
import type { FileSystem } from '../core/api.ts';
import type { Operations } from './operations.ts';
import type { FuseMount, Handler, Signal } from './package.ts';
import { wide } from './wire.ts';

type Later<T> = T | Promise<T>;

/** The operations that libfuse may call; it refuses the others, or does without them. */
export const IMPLEMENTED = [
  'getattr',
  'fgetattr',
  'readdir',
  'readlink',
  'mknod',
  'mkdir',
  'unlink',
  'rmdir',
  'symlink',
  'rename',
  'link',
  'chmod',
  'chown',
  'truncate',
  'ftruncate',
  'utimens',
  'open',
  'create',
  'read',
  'write',
  'release',
  'fsync',
  'fsyncdir',
  'statfs',
  'getxattr',
  'listxattr',
  'setxattr',
  'removexattr',
] as const;

type Requests = {
  readonly [operation in (typeof IMPLEMENTED)[number] as `_op_${operation}`]: Handler;
};

/** Offsets of the times in the add-on's record of a request, in bytes; both times are in milliseconds. */
const REQUEST_ATIME = 104;
const REQUEST_MTIME = 112;

/** The mount that requests belong to. */
export interface RequestContext {
  readonly fs: FileSystem;
  readonly operations: Operations;
  /** Returns the add-on's record of the request that is being handled. */
  current(): Buffer | null;
  /** Called with what an operation threw: a bug or damage, which ends that one operation with EIO. */
  fault(error: unknown): void;
}

/** Makes the add-on's handlers for one mount. */
export function requests(context: RequestContext): Requests & Partial<FuseMount> {
  const { operations: ops } = context;

  /** Answers with what `act` returns; a negative number is an error, which `onError` answers. */
  function answer<T>(
    act: () => Later<T | number>,
    onValue: (value: T | number) => void,
    onError: (error: number) => void,
  ): void {
    become(context.fs);
    const finish = (value: T | number): void => {
      if (typeof value === 'number' && value < 0) onError(value);
      else onValue(value);
    };
    const fail = (error: unknown): void => {
      context.fault(error);
      onError(-EIO);
    };
    try {
      const value = act();
      if (value instanceof Promise) value.then(finish, fail);
      else finish(value);
    } catch (error) {
      fail(error);
    }
  }

  /** Serves operations that answer 0 or an error. */
  const plain = (signal: Signal, act: () => Later<number>): void =>
    answer(act, () => signal(0), signal);

  /** Serves operations that answer 0 with one value, or an error. */
  const valued = <T>(signal: Signal, act: () => Later<T | number>): void =>
    answer(act, (value) => signal(0, value), signal);

  /** Serves transfers: the add-on takes its buffer back with every answer. */
  const counted = (signal: Signal, buf: Buffer, act: () => Later<number>): void =>
    answer(
      act,
      (count) => signal(count, count, buf.buffer),
      (error) => signal(error, 0, buf.buffer),
    );

  /** Serves lists of bytes: an empty buffer asks for the length. */
  const bytes = (signal: Signal, buf: Buffer, act: () => Buffer | number): void =>
    answer<Buffer>(
      act,
      (value) => signal(typeof value === 'number' ? value : copyOut(value, buf), buf.buffer),
      (error) => signal(error, buf.buffer),
    );

  return {
    _op_getattr: (signal: Signal, path: string) => valued(signal, () => ops.getattr(path)),
    _op_fgetattr: (signal: Signal, path: string, fh: number) =>
      valued(signal, () => ops.fgetattr(path, fh)),
    _op_readdir: (signal: Signal, path: string) =>
      answer(
        () => ops.readdir(path),
        (list) => typeof list !== 'number' && signal(0, list.names, list.stats),
        signal,
      ),
    _op_readlink: (signal: Signal, path: string) => valued(signal, () => ops.readlink(path)),
    _op_statfs: (signal: Signal) => valued(signal, () => ops.statfs()),

    _op_mknod: (signal: Signal, path: string, mode: number, rdev: number) =>
      plain(signal, () => ops.mknod(path, mode, rdev)),
    _op_mkdir: (signal: Signal, path: string, mode: number) =>
      plain(signal, () => ops.mkdir(path, mode)),
    _op_unlink: (signal: Signal, path: string) => plain(signal, () => ops.unlink(path)),
    _op_rmdir: (signal: Signal, path: string) => plain(signal, () => ops.rmdir(path)),
    _op_symlink: (signal: Signal, target: string, path: string) =>
      plain(signal, () => ops.symlink(target, path)),
    _op_rename: (signal: Signal, from: string, to: string) =>
      plain(signal, () => ops.rename(from, to)),
    _op_link: (signal: Signal, from: string, to: string) => plain(signal, () => ops.link(from, to)),

    _op_chmod: (signal: Signal, path: string, mode: number) =>
      plain(signal, () => ops.chmod(path, mode)),
    _op_chown: (signal: Signal, path: string, uid: number, gid: number) =>
      plain(signal, () => ops.chown(path, uid, gid)),
    _op_truncate: (signal: Signal, path: string, low: number, high: number) =>
      plain(signal, () => ops.truncate(path, wide(low, high))),
    _op_ftruncate: (signal: Signal, path: string, fh: number, low: number, high: number) =>
      plain(signal, () => ops.ftruncate(path, fh, wide(low, high))),
    _op_utimens: (signal: Signal, path: string, low: number, high: number) => {
      const atime = wide(low, high);
      const mtime = mtimeOf(context.current(), atime);
      plain(signal, () => ops.utimens(path, atime, mtime));
    },

    _op_open: (signal: Signal, path: string, flags: number) =>
      valued(signal, () => ops.open(path, flags)),
    _op_create: (signal: Signal, path: string, mode: number) =>
      valued(signal, () => ops.create(path, mode)),
    _op_read: (signal: Signal, _path: string, fh: number, buf: Buffer, ...at: number[]) =>
      counted(signal, buf, () => ops.read(fh, buf, at[0]!, wide(at[1]!, at[2]!))),
    _op_write: (signal: Signal, _path: string, fh: number, buf: Buffer, ...at: number[]) =>
      counted(signal, buf, () => ops.write(fh, buf, at[0]!, wide(at[1]!, at[2]!))),
    _op_release: (signal: Signal, _path: string, fh: number) =>
      plain(signal, () => ops.release(fh)),
    _op_fsync: (signal: Signal, _path: string, dataOnly: number, fh: number) =>
      plain(signal, () => ops.fsync(fh, dataOnly !== 0)),
    _op_fsyncdir: (signal: Signal) => plain(signal, () => ops.fsyncdir()),

    _op_getxattr: (signal: Signal, path: string, name: string, buf: Buffer) =>
      bytes(signal, buf, () => ops.getxattr(path, name)),
    _op_listxattr: (signal: Signal, path: string, buf: Buffer) =>
      bytes(signal, buf, () => ops.listxattr(path)),
    _op_setxattr: (signal: Signal, path: string, name: string, buf: Buffer, ...at: number[]) => {
      // Copied, because the bytes are libfuse's, and the core keeps what it is given.
      const value = Buffer.from(buf);
      answer(
        () => ops.setxattr(path, name, value, at[1]!),
        () => signal(0, buf.buffer),
        (error) => signal(error, buf.buffer),
      );
    },
    _op_removexattr: (signal: Signal, path: string, name: string) =>
      plain(signal, () => ops.removexattr(path, name)),
  };
}

/**
 * Sets the caller to root. The add-on doesn't say who asks: the kernel has checked permissions, and for the rest
 * the request counts as root's.
 */
function become(fs: FileSystem): void {
  const { caller } = fs;
  caller.uid = 0;
  caller.gid = 0;
  caller.pid = process.pid;
}

function copyOut(value: Buffer, buf: Buffer): number {
  if (buf.length === 0) return value.length;
  if (value.length > buf.length) return -ERANGE;
  value.copy(buf);
  return value.length;
}

/**
 * Returns a request's mtime. The add-on passes atime twice, but its own record of the request has both times. The
 * record is used only if it is laid out as we know it, which the place of atime tells.
 */
function mtimeOf(request: Buffer | null, atime: number): number {
  if (request === null || request.length < REQUEST_MTIME + 8) return atime;
  if (Number(request.readBigUInt64LE(REQUEST_ATIME)) !== atime) return atime;
  return Number(request.readBigUInt64LE(REQUEST_MTIME));
}
