import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { O_CREAT, O_RDWR } from '../../src/base/mode.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  native,
  STAT,
  STAT_SLOTS,
  STATFS_SLOTS,
} from '../../src/native/binding.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

const { errno } = constants;
let dir = '';
let file = -1;

beforeEach(() => {
  dir = newDir();
  file = native.openAt(AT_FDCWD, path.join(dir, 'file'), O_CREAT | O_RDWR, 0o640);
});

afterEach(() => {
  native.close(file);
  removeDir(dir);
});

const attributes = (name: string, flags = AT_SYMLINK_NOFOLLOW): Float64Array => {
  const out = new Float64Array(STAT_SLOTS);
  expect(native.statAt(AT_FDCWD, path.join(dir, name), out, flags)).toBe(0);
  return out;
};

describe('names', () => {
  test('errors are negative errno values, never exceptions', () => {
    expect(native.openAt(AT_FDCWD, path.join(dir, 'absent'), 0, 0)).toBe(-errno.ENOENT);
    expect(native.openAt(AT_FDCWD, 'x'.repeat(5000), 0, 0)).toBe(-errno.ENAMETOOLONG);
    expect(native.openAt(AT_FDCWD, 'nul\0inside', 0, 0)).toBe(-errno.EINVAL);
    expect(native.close(-1)).toBe(-errno.EBADF);
  });

  test('bytes that are not UTF-8 name a file', () => {
    const bytes = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])]);
    expect(native.mkdirAt(AT_FDCWD, bytes, 0o700)).toBe(0);
    expect(native.statAt(AT_FDCWD, bytes, new Float64Array(STAT_SLOTS), 0)).toBe(0);
    expect(native.unlinkAt(AT_FDCWD, bytes, AT_REMOVEDIR)).toBe(0);
  });

  test('link, rename without replacing, unlink', () => {
    const [a, b] = [path.join(dir, 'file'), path.join(dir, 'other')];
    expect(native.linkAt(AT_FDCWD, a, AT_FDCWD, b, 0)).toBe(0);
    expect(attributes('other')[STAT.nlink]).toBe(2);
    expect(native.renameAt(AT_FDCWD, a, AT_FDCWD, b, 1)).toBe(-errno.EEXIST);
    expect(native.unlinkAt(AT_FDCWD, b, 0)).toBe(0);
  });

  test('a lock of one open file keeps another out', () => {
    const second = native.openAt(AT_FDCWD, path.join(dir, 'file'), O_RDWR, 0);
    expect(native.flock(file, 2 | 4)).toBe(0);
    expect(native.flock(second, 2 | 4)).toBe(-errno.EAGAIN);
    native.close(second);
  });
});

describe('data', () => {
  const buf = Buffer.from('..hello..');

  test('write and read back at an offset beyond 2^32', async () => {
    const far = 2 ** 40 + 1;
    expect(native.pwrite(file, buf, 2, 5, far)).toBe(5);
    expect(attributes('file')[STAT.size]).toBe(far + 5);
    const back = Buffer.alloc(16);
    expect(native.pread(file, back, 1, 10, far)).toBe(5);
    expect(back.toString('latin1', 1, 6)).toBe('hello');
    expect(native.preadNowait(file, back, 8, 8, far)).toBe(5);
    expect(await native.preadAsync(file, back, 0, 16, far + 1)).toBe(4);
    expect(native.lseek(file, 0, 3)).toBeGreaterThan(0);
    expect(native.lseek(file, 0, 4)).toBe(0);
  });

  test('a range outside of the buffer is refused', async () => {
    expect(native.pwrite(file, buf, 5, 5, 0)).toBe(-errno.EFAULT);
    expect(native.pread(file, buf, -1, 1, 0)).toBe(-errno.EFAULT);
    expect(await native.preadAsync(file, buf, 0, 10, 0)).toBe(-errno.EFAULT);
  });

  test('copy, allocate, truncate, sync', async () => {
    native.pwrite(file, buf, 0, buf.length, 0);
    const copy = native.openAt(AT_FDCWD, path.join(dir, 'copy'), O_CREAT | O_RDWR, 0o600);
    expect(native.copyRange(file, 2, copy, 0, 5)).toBe(5);
    expect(await native.copyRangeAsync(file, 2, copy, 5, 5)).toBe(5);
    expect(await native.fallocateAsync(copy, 0, 0, 8192)).toBe(0);
    expect(native.ftruncate(copy, 10)).toBe(0);
    expect(await native.fsyncAsync(copy, true)).toBe(0);
    expect(native.fsync(copy, false)).toBe(0);
    expect(await native.syncfsAsync(copy)).toBe(0);
    const out = Buffer.alloc(16);
    expect(native.pread(copy, out, 0, 16, 0)).toBe(10);
    expect(out.toString('latin1', 0, 10)).toBe('hellohello');
    native.close(copy);
  });
});

describe('attributes', () => {
  test('times are set to the nanosecond, before 1970 too', () => {
    expect(native.futimens(file, -2, 5, 4102444800, 999_999_999)).toBe(0);
    const out = new Float64Array(STAT_SLOTS);
    expect(native.statFd(file, out)).toBe(0);
    expect([out[STAT.atime], out[STAT.atimeNs]]).toEqual([-2, 5]);
    expect([out[STAT.mtime], out[STAT.mtimeNs]]).toEqual([4102444800, 999_999_999]);
    expect(native.statAt(file, '', out, AT_EMPTY_PATH)).toBe(0);
    expect(out[STAT.mode]).toBe(0o100640);
  });

  test('an output array that is too short is refused', () => {
    expect(native.statFd(file, new Float64Array(3))).toBe(-errno.EFAULT);
    expect(native.clock(new Float64Array(1))).toBe(-errno.EFAULT);
  });

  test('the clock and the file system figures are plausible', () => {
    const now = new Float64Array(2);
    expect(native.clock(now)).toBe(0);
    expect(Math.abs((now[0] ?? 0) - Date.now() / 1000)).toBeLessThan(2);
    const space = new Float64Array(STATFS_SLOTS);
    expect(native.statfsFd(file, space)).toBe(0);
    expect(space[1]).toBeGreaterThan(0);
    expect(space[7]).toBe(255);
  });

  test('extended attributes are buffers, or an errno', () => {
    writeFileSync(path.join(dir, 'plain'), '');
    const plain = path.join(dir, 'plain');
    expect(native.getXattr(plain, 'user.absent')).toBe(-errno.ENODATA);
    const list = native.listXattr(plain);
    expect(Buffer.isBuffer(list)).toBe(true);
  });
});
