import { EINTR, EINVAL, EIO, ENOSYS, ENOTTY, EOPNOTSUPP, EXDEV } from '../../base/errno.ts';
import { failpointError } from '../../base/failpoints.ts';
import { native } from '../../native/binding.ts';
import { findData } from '../../native/data-ranges.ts';

/** Copies up to this size are made at once on the JS thread: 128 KiB take about 30 us. */
export const SYNC_COPY_MAX = 128 * 1024;
/** Bytes per chunk; between chunks an interrupt is noticed, and other work gets the thread. */
const CHUNK = 4 * 1024 * 1024;
const FALLBACK_CHUNK = 1024 * 1024;

const scratch = Buffer.allocUnsafeSlow(SYNC_COPY_MAX);

const isUnsupported = (result: number): boolean =>
  [EOPNOTSUPP, ENOTTY, EXDEV, EINVAL, ENOSYS].includes(-result);

/** Runs a slice of a copy, which takes a thread of the pool: at once, or when a thread is free for it. */
export type RunSlice = (slice: () => Promise<number>) => Promise<number>;

/** Makes an empty file a copy of another: a reflink if the file system can, else a copy of its data ranges. */
export class FileCopier {
  /** False once the file system has said that it cannot reflink: all of a root is on one file system. */
  #clones = true;
  readonly #run: RunSlice;

  constructor(run: RunSlice = (slice) => slice()) {
    this.#run = run;
  }

  /**
   * Copies the first `length` bytes of `from` to the empty file `to`, and keeps holes. Returns 0 or -errno; a
   * promise only if it takes long.
   */
  copy(
    from: number,
    to: number,
    length: number,
    interrupted: () => boolean,
  ): number | Promise<number> {
    const failed = failpointError('copy-up');
    if (failed < 0) return failed;
    if (length === 0) return 0;
    if (this.#clones) {
      const cloned = native.clone(to, from);
      if (cloned >= 0) return native.ftruncate(to, length);
      if (!isUnsupported(cloned)) return cloned;
      this.#clones = false;
    }
    return length <= SYNC_COPY_MAX
      ? copyNow(from, to, length)
      : copyLater(from, to, length, interrupted, this.#run);
  }
}

function copyNow(from: number, to: number, length: number): number {
  let at = 0;
  for (;;) {
    const range = findData(from, at, length);
    if (typeof range === 'number') return range;
    if (range === null) break;
    const [begin, end] = range;
    const failed = copyBytes(from, to, begin, end - begin);
    if (failed < 0) return failed;
    at = end;
  }
  return at < length ? native.ftruncate(to, length) : 0;
}

function copyBytes(from: number, to: number, offset: number, length: number): number {
  const got = native.pread(from, scratch, 0, length, offset);
  if (got !== length) return got < 0 ? got : -EIO;
  return writeAll(to, scratch, length, offset);
}

function writeAll(fd: number, buffer: Buffer, length: number, offset: number): number {
  let done = 0;
  while (done < length) {
    const put = native.pwrite(fd, buffer, done, length - done, offset + done);
    if (put <= 0) return put < 0 ? put : -EIO;
    done += put;
  }
  return 0;
}

async function copyLater(
  from: number,
  to: number,
  length: number,
  interrupted: () => boolean,
  run: RunSlice,
): Promise<number> {
  let at = 0;
  for (;;) {
    const range = findData(from, at, length);
    if (typeof range === 'number') return range;
    if (range === null) break;
    const [begin, end] = range;
    const failed = await copyRange(from, to, begin, end, interrupted, run);
    if (failed < 0) return failed;
    at = end;
  }
  return at < length ? native.ftruncate(to, length) : 0;
}

async function copyRange(
  from: number,
  to: number,
  begin: number,
  end: number,
  interrupted: () => boolean,
  run: RunSlice,
): Promise<number> {
  for (let at = begin; at < end; ) {
    if (interrupted()) return -EINTR;
    const want = Math.min(CHUNK, end - at);
    let got = await run(() => native.copyRangeAsync(from, at, to, at, want));
    if (got < 0 && isUnsupported(got)) got = await run(() => copyThrough(from, to, at, want));
    if (got <= 0) return got < 0 ? got : -EIO;
    at += got;
  }
  return 0;
}

/**
 * Copies through a buffer, for file systems without copy_file_range between these two files. Resolves to the
 * number of bytes copied, or -errno.
 */
async function copyThrough(
  from: number,
  to: number,
  offset: number,
  length: number,
): Promise<number> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(length, FALLBACK_CHUNK));
  const got = await native.preadAsync(from, buffer, 0, buffer.length, offset);
  if (got <= 0) return got;
  const failed = writeAll(to, buffer, got, offset);
  return failed < 0 ? failed : got;
}
