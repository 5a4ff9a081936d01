import assert from 'node:assert/strict';
import fs from 'node:fs';
import { call, type PathLike } from '../syscalls/index.ts';

/** The action must fail with this errno ("ENOENT"), or one of these. */
export function fails(codes: string | readonly string[], action: () => unknown): void {
  const allowed = typeof codes === 'string' ? [codes] : codes;
  try {
    action();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    assert.ok(
      code && allowed.includes(code),
      `expected ${allowed.join(' or ')}, got ${String(error)}`,
    );
    return;
  }
  assert.fail(`expected ${allowed.join(' or ')}, but it succeeded`);
}

/** lstat with nanoseconds. */
export const stat = (path: PathLike): fs.BigIntStats => fs.lstatSync(path, { bigint: true });

export const statFd = (fd: number): fs.BigIntStats => fs.fstatSync(fd, { bigint: true });

export const permissions = (path: PathLike): number => fs.lstatSync(path).mode & 0o7777;

/** Waits until the kernel's coarse clock, which stamps files, has moved on. */
export const tick = (): void => pause(12);

/** Sleeps; the event loop stands still. */
export function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

export type Stamp = 'mtime' | 'ctime' | 'atime';

/** Exactly these times of `path` must move forward in `action`; the others of mtime and ctime stay. */
export function stamps(path: PathLike, moved: readonly Stamp[], action: () => void): void {
  const before = stat(path);
  tick();
  action();
  const after = stat(path);
  for (const stamp of ['mtime', 'ctime'] as const) {
    const [was, is] = [before[`${stamp}Ns`], after[`${stamp}Ns`]];
    if (moved.includes(stamp)) assert.ok(is > was, `${stamp} must move: ${was} -> ${is}`);
    else assert.equal(is, was, `${stamp} must stay`);
  }
}

/** Opens, hands the descriptor to `action`, closes. */
export function withFile<T>(path: PathLike, flags: string | number, action: (fd: number) => T): T {
  const fd = fs.openSync(path, flags);
  try {
    return action(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Reads `length` bytes at `offset` as latin1 text. */
export function readText(fd: number, offset: number, length: number): string {
  const buffer = Buffer.alloc(length);
  return buffer.toString('latin1', 0, fs.readSync(fd, buffer, 0, length, offset));
}

export const textOf = (path: PathLike): string => fs.readFileSync(path, 'latin1');

/** Runs `action` under this umask. */
export function withUmask<T>(mask: number, action: () => T): T {
  const before = call('umask', mask);
  try {
    return action();
  } finally {
    call('umask', before);
  }
}

/** Runs `action` with `dir` as the working directory, then returns to the one before. */
export function inDirectory<T>(dir: string, action: () => T): T {
  const before = fs.openSync('.', 'r');
  process.chdir(dir);
  try {
    return action();
  } finally {
    call('fchdir', before);
    fs.closeSync(before);
    process.chdir('/');
  }
}

/** Names in a directory, sorted. */
export const namesIn = (dir: PathLike): string[] => fs.readdirSync(dir).sort();
