/**
 * The native add-on: one line per export of `native/`. Every call returns >= 0, or -errno; none throws
 * for an errno. Paths are UTF-8 strings, or bytes (Buffer) where a name may not be UTF-8. Calls ending in
 * `Async` run on libuv's thread pool and resolve to the same numbers.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { checkout } from '../base/program-files.ts';

/** A path: UTF-8 text, or bytes. Relative ones are relative to `dirfd` (AT_FDCWD: -100). */
export type PathLike = string | Buffer;

/** Slots of the Float64Array that statAt and statFd fill; times in seconds and nanoseconds. */
export const STAT = {
  mode: 0,
  ino: 1,
  dev: 2,
  nlink: 3,
  uid: 4,
  gid: 5,
  rdev: 6,
  size: 7,
  blocks: 8,
  atime: 9,
  atimeNs: 10,
  mtime: 11,
  mtimeNs: 12,
  ctime: 13,
  ctimeNs: 14,
  btime: 15,
  btimeNs: 16,
} as const;
export const STAT_SLOTS = 17;
/** Slots of the Float64Array that statfsFd fills. */
export const STATFS_SLOTS = 10;
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_EMPTY_PATH = 0x1000;

/** The calls of the add-on. Names and arguments follow the system calls. */
export interface Native {
  // Files
  openAt(dirfd: number, path: PathLike, flags: number, mode: number): number;
  close(fd: number): number;
  unlinkAt(dirfd: number, path: PathLike, flags: number): number;
  renameAt(fromDir: number, from: PathLike, toDir: number, to: PathLike, flags: number): number;
  linkAt(fromDir: number, from: PathLike, toDir: number, to: PathLike, flags: number): number;
  mkdirAt(dirfd: number, path: PathLike, mode: number): number;
  /** flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH */
  statAt(dirfd: number, path: PathLike, out: Float64Array, flags: number): number;
  statFd(fd: number, out: Float64Array): number;
  /** out: bsize, blocks, bfree, bavail, files, ffree, type, namelen, and the two words of the id (f_fsid) */
  statfsFd(fd: number, out: Float64Array): number;
  /** preadv2 with RWF_NOWAIT: -EAGAIN when it would wait for the disk. */
  preadNowait(fd: number, buf: Uint8Array, at: number, length: number, offset: number): number;
  preadAsync(
    fd: number,
    buf: Uint8Array,
    at: number,
    length: number,
    offset: number,
  ): Promise<number>;
  pread(fd: number, buf: Uint8Array, at: number, length: number, offset: number): number;
  pwrite(fd: number, buf: Uint8Array, at: number, length: number, offset: number): number;
  ftruncate(fd: number, size: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  fallocateAsync(fd: number, mode: number, offset: number, length: number): Promise<number>;
  lseek(fd: number, offset: number, whence: number): number;
  /**
   * Returns how many of `length` bytes from `offset` on can be written while the file gets at most `room` bytes more on
   * the disk, in blocks of `block` bytes. What is allocated already costs nothing.
   */
  fitting(fd: number, offset: number, length: number, room: number, block: number): number;
  /** One copy_file_range call; bytes copied. Offsets are explicit; the file positions stay. */
  copyRange(fdIn: number, offIn: number, fdOut: number, offOut: number, length: number): number;
  copyRangeAsync(
    fdIn: number,
    offIn: number,
    fdOut: number,
    offOut: number,
    length: number,
  ): Promise<number>;
  /** ioctl FICLONE: a reflink of the whole file. */
  clone(fdOut: number, fdIn: number): number;
  futimens(fd: number, atime: number, atimeNs: number, mtime: number, mtimeNs: number): number;
  fsyncAsync(fd: number, dataOnly: boolean): Promise<number>;
  fsync(fd: number, dataOnly: boolean): number;
  /** sync_file_range(SYNC_FILE_RANGE_WRITE): starts the write-back of all that is dirty. Closes the descriptor. */
  writeOutAsync(fd: number): Promise<number>;
  syncfsAsync(fd: number): Promise<number>;
  /** flock(2): LOCK_EX 2, LOCK_SH 1, LOCK_UN 8, LOCK_NB 4. */
  flock(fd: number, operation: number): number;
  /** fcntl(2), F_OFD_SETLKW: waits for a lock for reading on the first byte, and keeps it until the open file is closed. */
  lockFirstByte(fd: number): number;
  /**
   * Returns 0 if the inode has no other open file (in this process, another or the kernel) and no mapping; else -EAGAIN, or
   * the error of F_SETLEASE (-EINVAL: the file system has no leases). The descriptor is open for reading.
   */
  isUnused(fd: number): number;
  /** Extended attributes of the path itself (no symlink followed), or null and errno in `errno`. */
  listXattr(path: PathLike): Buffer | number;
  getXattr(path: PathLike, name: string): Buffer | number;
  /** The value is the first `length` bytes of `value`. */
  setXattr(path: PathLike, name: string, value: Uint8Array, length: number): number;
  setXattrFd(fd: number, name: string, value: Uint8Array, length: number): number;
  removeXattr(path: PathLike, name: string): number;
  /** CLOCK_REALTIME_COARSE into out[0] seconds, out[1] nanoseconds: the clock files are stamped with. */
  clock(out: Float64Array): number;

  // Mounts and processes
  mount(source: string, target: string, type: string, flags: number, data: string): number;
  umount(target: string, flags: number): number;
  /** mount_setattr(MOUNT_ATTR_IDMAP) on a detached clone of `path`, moved to `target`. */
  idmapMount(path: string, target: string, usernsFd: number): number;
  /** Mounts the directory `dirfd` anew, detached from any path. Returns the mount's descriptor, or -errno. */
  cloneMount(dirfd: number): number;
  /**
   * Sets how a mount from cloneMount() keeps access times: MOUNT_ATTR_RELATIME 0, _NOATIME 0x10, _STRICTATIME
   * 0x20.
   */
  setAccessTimes(mountFd: number, attribute: number): number;
  /** Calls `onChange` after changes of this mount namespace's table, for as long as the process lives. */
  watchMounts(onChange: () => void): number;
  /**
   * Maps a part of a file as shared memory, and gives the file room for it first. It is unmapped when the buffer is
   * collected.
   * @param offset a multiple of the page size
   */
  mapFile(fd: number, offset: number, length: number): ArrayBuffer | number;
  /** Takes a copy of another process's descriptor (pidfd_open, pidfd_getfd); close-on-exec. */
  takeFd(pid: number, fd: number): number;

  /**
   * Reconfigures the file system that is mounted at a path (bytes that end with a 0), without changing
   * anything: the kernel then forgets all of its names and inodes that are not in use.
   */
  reconfigureAsync(path: Buffer, length: number): Promise<number>;

  /**
   * From now on, a signal that ends this process because of what it does (SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE) is
   * told on standard error first: `before`, a sentence with the file at that place in memory, and `after`. Further calls do
   * nothing.
   * @param exitCode 0: all of them are told, and the process dies of it. Else only those at a page of LMDB's are, and
   *   the process exits with this code
   */
  tellDeaths(before: string, after: string, exitCode: number): number;
  /**
   * Sees to it that LMDB, once it is loaded, writes no text beyond what it allocated for it when a write fails (native/lmdb_texts.cc). Returns in
   * how many places; 0 if that could not be done here.
   */
  boundLmdbTexts(): number;
  /** malloc_trim(3): gives memory that was freed back to the system. */
  trimMemory(): number;
  /** Writes "0" to a file of control groups, which is closed then, again and again until stopMoving(). */
  startMoving(processesFile: number): number;
  stopMoving(): number;
  /** _exit(2): ends the process at once, from any of its threads. */
  exitNow(exitCode: number): never;

  // /dev/fuse
  /** FUSE_DEV_IOC_BACKING_OPEN and _CLOSE. */
  backingOpen(devFd: number, fd: number): number;
  backingClose(devFd: number, backingId: number): number;
  /**
   * Reads requests from `devFd` into `request` whenever it is readable (uv_poll), until EAGAIN or a fair share, and
   * calls `onRequest(length)` for each; if that returns n > 0 the first n bytes of `reply` are written back at
   * once. `onEnd(errno)` is called once when the connection is gone (ENODEV) or reading fails.
   * Buffers are shared by all loops of a process. Returns a loop id for stopLoop().
   */
  startLoop(
    devFd: number,
    request: Uint8Array,
    reply: Uint8Array,
    onRequest: (length: number) => number,
    onEnd: (errno: number) => void,
  ): number;
  stopLoop(loop: number): number;
  /** Returns the index of the first of these devices on which a request waits, or that is aborted; -1 if there is none. */
  firstWaiting(fds: Int32Array): number;
  /** One write(2) to the device: a late reply or, never from a request handler, a notification. */
  writeDevice(devFd: number, buf: Uint8Array, length: number): number;
  writeDeviceAsync(devFd: number, buf: Uint8Array, length: number): Promise<number>;
  /**
   * Writes batches of messages to devices. A batch is a device's descriptor (i32), a length (u32), and that
   * many bytes of messages, each beginning with its own length (u32); batches follow each other. One write(2)
   * per message. Resolves to how many messages the kernel accepted; it refuses those about inodes and names
   * that it does not know.
   */
  writeBatchesAsync(buf: Uint8Array, length: number): Promise<number>;
}

const load = createRequire(import.meta.url);

/** Returns the path of a file that was built from native/. @throws Error if it does not exist */
export function builtFile(name: string): string {
  const file = path.join(checkout(), 'native/build/Release', name);
  if (existsSync(file)) return file;
  throw new Error(`${name} is not built: run scripts/setup.sh`);
}

/** The add-on, loaded. */
export const native = load(builtFile('byref.node')) as Native;

/** Returns the path of the program that native/confine.c is built to. */
export const confineProgram = (): string => builtFile('byref-confine');

/** Returns the path of the program that native/monitor.c is built to. */
export const monitorProgram = (): string => builtFile('byref-monitor');

/** Returns the path of the program that native/services.c is built to. */
export const servicesProgram = (): string => builtFile('byref-services');
