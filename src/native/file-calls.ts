import type { FileCalls } from '../driver/core/ports.ts';
import { native } from './binding.ts';

const clockSlots = new Float64Array(2);

/** Implements the file calls of the filesystem core with the add-on. */
export const fileCalls: FileCalls = {
  preadNowait: (fd, buf, at, length, offset) => native.preadNowait(fd, buf, at, length, offset),
  pread: (fd, buf, at, length, offset) => native.preadAsync(fd, buf, at, length, offset),
  pwrite: (fd, buf, at, length, offset) => native.pwrite(fd, buf, at, length, offset),
  ftruncate: (fd, size) => native.ftruncate(fd, size),
  fallocate: (fd, mode, offset, length) => native.fallocateAsync(fd, mode, offset, length),
  lseek: (fd, offset, whence) => native.lseek(fd, offset, whence),
  fitting: (fd, offset, length, room, block) => native.fitting(fd, offset, length, room, block),
  copyRange: (fdIn, offIn, fdOut, offOut, length) =>
    native.copyRangeAsync(fdIn, offIn, fdOut, offOut, length),
  futimens: (fd, atime, atimeNs, mtime, mtimeNs) =>
    native.futimens(fd, atime, atimeNs, mtime, mtimeNs),
  fsync: (fd, dataOnly) => native.fsyncAsync(fd, dataOnly),
  now(out) {
    native.clock(clockSlots);
    out.sec = clockSlots[0] ?? 0;
    out.nsec = clockSlots[1] ?? 0;
  },
};
