import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from './constants.ts';
import { call, cString, type PathLike } from './raw.ts';

/** Opens; returns a descriptor (the caller's to close with fs.closeSync). */
export const open = (path: PathLike, flags: number, mode = 0o644): number =>
  call('openat', AT_FDCWD, cString(path), flags, mode);

export const renameWith = (from: PathLike, to: PathLike, flags: number): number =>
  call('renameat2', AT_FDCWD, cString(from), AT_FDCWD, cString(to), flags);

export const linkAt = (fromDir: number, from: PathLike, to: PathLike, flags: number): number =>
  call('linkat', fromDir, cString(from), AT_FDCWD, cString(to), flags);

/** Makes a node: `mode` with type bits, `device` as makeDevice gives it. */
export const makeNode = (path: PathLike, mode: number, device = 0): number =>
  call('mknodat', AT_FDCWD, cString(path), mode, device);

export const makeDevice = (major: number, minor: number): number =>
  (major << 8) | (minor & 0xff) | ((minor & ~0xff) << 12);

export const allocate = (fd: number, mode: number, offset: number, length: number): number =>
  call('fallocate', fd, mode, offset, length);

/** `offset` may be a directory cookie, which can need all 64 bits. */
export const seek = (fd: number, offset: number | bigint, whence: number): number =>
  call('lseek', fd, offset, whence);

/** Copies up to `length` bytes within the kernel; returns how many it copied. */
export function copyRange(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): number {
  const offset = (value: number): Buffer => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  };
  return call('copy_file_range', from, offset(fromOffset), to, offset(toOffset), length, 0);
}

/** A struct timespec: seconds and nanoseconds (which may be UTIME_NOW or UTIME_OMIT). */
export interface Time {
  readonly sec: number;
  readonly nsec: number;
}

/** Sets access and modification time to the nanosecond, of the name itself if `nofollow`. */
export function setTimes(path: PathLike, atime: Time, mtime: Time, nofollow = false): void {
  const times = Buffer.alloc(32);
  [atime, mtime].forEach((time, i) => {
    times.writeBigInt64LE(BigInt(time.sec), i * 16);
    times.writeBigInt64LE(BigInt(time.nsec), i * 16 + 8);
  });
  call('utimensat', AT_FDCWD, cString(path), times, nofollow ? AT_SYMLINK_NOFOLLOW : 0);
}

const DIRENT_HEADER = 19;

export interface RawEntry {
  readonly ino: number;
  /** Position to seek to, to go on after this entry. */
  readonly cookie: bigint;
  /** DT_*: st_mode's type bits shifted right by 12. */
  readonly type: number;
  readonly name: Buffer;
}

/** One getdents64 call on an open directory; empty at its end. */
export function readEntries(fd: number, bufferSize = 4096): RawEntry[] {
  const buffer = Buffer.alloc(bufferSize);
  const end = call('getdents64', fd, buffer, bufferSize);
  const entries: RawEntry[] = [];
  for (let at = 0; at < end; ) {
    const length = buffer.readUInt16LE(at + 16);
    const nameStart = at + DIRENT_HEADER;
    entries.push({
      ino: Number(buffer.readBigUInt64LE(at)),
      cookie: buffer.readBigInt64LE(at + 8),
      type: buffer.readUInt8(at + 18),
      name: Buffer.from(buffer.subarray(nameStart, buffer.indexOf(0, nameStart))),
    });
    at += length;
  }
  return entries;
}

/** All entries from the directory's current position to its end. */
export function readAllEntries(fd: number, bufferSize = 4096): RawEntry[] {
  const all: RawEntry[] = [];
  for (;;) {
    const some = readEntries(fd, bufferSize);
    if (some.length === 0) return all;
    all.push(...some);
  }
}
