/** Handlers for the bytes of open files: READ, WRITE, FSYNC, FALLOCATE, LSEEK, COPY_FILE_RANGE. */
import { EINVAL } from '../../../base/errno.ts';
import { O_DSYNC } from '../../../base/mode.ts';
import { READ_LATER } from '../../core/api.ts';
import { i64, MAX_IO, put32, put64, reply, request, u32, u64 } from '../buffers.ts';
import type { Connection } from '../connection.ts';
import {
  COPY_FILE_RANGE_IN,
  FALLOCATE_IN,
  FSYNC_FDATASYNC,
  FSYNC_IN,
  IN,
  IN_BYTES,
  LSEEK_IN,
  OUT,
  OUT_BYTES,
  READ_IN,
  WRITE_CACHE,
  WRITE_IN,
  WRITE_IN_BYTES,
  WRITE_KILL_SUIDGID,
} from '../wire.ts';
import { statusReply } from './tree.ts';

/** The largest count that fits into struct fuse_write_out, in whole pages. */
const MAX_COUNT_32 = 0xfffff000;

/** Serves READ. Bytes in memory are answered at once; others by the thread pool, into a buffer of their own. */
export function read(c: Connection): number {
  const [fh, offset] = [u64(READ_IN.fh), i64(READ_IN.offset)];
  const length = Math.min(u32(READ_IN.size), MAX_IO);
  const n = c.fs.read(fh, offset, length, reply, OUT_BYTES);
  if (n !== READ_LATER) return dataReply(n);
  let own: Buffer | null = null;
  const makeRoom = (): Buffer => {
    own = Buffer.allocUnsafe(length);
    return own;
  };
  return c.later(c.fs.readLater(fh, offset, length, makeRoom), (late) => {
    if (late > 0) own?.copy(reply, OUT_BYTES, 0, late);
    return dataReply(late);
  });
}

const dataReply = (n: number): number => (n < 0 ? n : OUT_BYTES + n);

/** Serves WRITE. */
export function write(c: Connection): number {
  const length = u32(WRITE_IN.size);
  const start = IN_BYTES + WRITE_IN_BYTES;
  if (length > MAX_IO || start + length > u32(IN.len)) return -EINVAL;
  const killPriv = (u32(WRITE_IN.writeFlags) & WRITE_KILL_SUIDGID) !== 0;
  const [fh, offset] = [u64(WRITE_IN.fh), i64(WRITE_IN.offset)];
  // The kernel puts RWF_DSYNC among the flags of the open file.
  const durable = (u32(WRITE_IN.flags) & O_DSYNC) !== 0;
  // What a mapping stored: nobody writes the rest of it.
  const whole = (u32(WRITE_IN.writeFlags) & WRITE_CACHE) !== 0;
  const n = c.fs.write(fh, offset, request, start, length, killPriv, durable, whole);
  return typeof n === 'number' ? count32Reply(n) : c.later(n, count32Reply);
}

/** Fills struct fuse_write_out: the number of bytes written or copied. */
function count32Reply(n: number): number {
  if (n < 0) return n;
  put32(OUT.body, n);
  put32(OUT.body + 1, 0);
  return OUT_BYTES + 8;
}

function count64Reply(n: number): number {
  if (n < 0) return n;
  put64(OUT.body, n);
  return OUT_BYTES + 8;
}

/** Serves FSYNC. */
export function fsync(c: Connection): number {
  const dataOnly = (u32(FSYNC_IN.flags) & FSYNC_FDATASYNC) !== 0;
  return c.later(c.fs.fsync(u64(FSYNC_IN.fh), dataOnly), statusReply);
}

/** Serves FSYNCDIR and SYNCFS. */
export function sync(c: Connection): number {
  return c.later(c.fs.sync(), statusReply);
}

/** Serves FALLOCATE. */
export function fallocate(c: Connection): number {
  const [fh, mode] = [u64(FALLOCATE_IN.fh), u32(FALLOCATE_IN.mode)];
  const [offset, length] = [i64(FALLOCATE_IN.offset), i64(FALLOCATE_IN.length)];
  return c.later(c.fs.fallocate(fh, mode, offset, length), statusReply);
}

/** Serves LSEEK. */
export function lseek(c: Connection): number {
  return count64Reply(c.fs.lseek(u64(LSEEK_IN.fh), i64(LSEEK_IN.offset), u32(LSEEK_IN.whence)));
}

/** Serves COPY_FILE_RANGE, whose reply has a count of 32 bits. */
export function copyFileRange(c: Connection): number {
  const length = Math.min(u64(COPY_FILE_RANGE_IN.length), MAX_COUNT_32);
  return c.later(copy(c, length), count32Reply);
}

/** Serves COPY_FILE_RANGE_64 (since 7.45): the count of copied bytes has 64 bits. */
export function copyFileRange64(c: Connection): number {
  return c.later(copy(c, u64(COPY_FILE_RANGE_IN.length)), count64Reply);
}

function copy(c: Connection, length: number): Promise<number> {
  const [fhIn, offIn] = [u64(COPY_FILE_RANGE_IN.fhIn), i64(COPY_FILE_RANGE_IN.offIn)];
  const [fhOut, offOut] = [u64(COPY_FILE_RANGE_IN.fhOut), i64(COPY_FILE_RANGE_IN.offOut)];
  return c.fs.copyRange(fhIn, offIn, fhOut, offOut, length);
}
