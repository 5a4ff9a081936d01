import { expect, test } from 'vitest';
import { PRIVATE_INO_BASE } from '../../src/base/ids.ts';
import type { Attr } from '../../src/driver/core/api.ts';
import { shortIno, spaceWords, statWords, wide } from '../../src/driver/fuse-native/wire.ts';

const SIZE_WORDS = 3;
const MTIME_WORDS = 14;

const attr: Attr = {
  ino: 7,
  mode: 0o100644,
  nlink: 1,
  uid: 0,
  gid: 0,
  rdev: 0,
  size: 5 * 2 ** 32 + 17,
  blocks: 1,
  atime: 0,
  atimeNs: 0,
  mtime: 1_700_000_000,
  mtimeNs: 123_999_999,
  ctime: -5,
  ctimeNs: 0,
  btime: -1,
  btimeNs: 0,
  volatile: false,
};

const wideAt = (words: Uint32Array, at: number): number => wide(words[at]!, words[at + 1]!);

test('sizes beyond 32 bits and times to the millisecond come through', () => {
  const words = statWords(attr);
  expect(wideAt(words, SIZE_WORDS)).toBe(attr.size);
  expect(wideAt(words, MTIME_WORDS)).toBe(1_700_000_000_123);
});

test('times before 1970 show as 1970, not as a time far ahead', () => {
  expect(wideAt(statWords(attr), MTIME_WORDS + 2)).toBe(0);
});

test('template and private inos stay apart in 32 bits', () => {
  expect(shortIno(1)).toBe(1);
  expect(shortIno(PRIVATE_INO_BASE + 1)).toBe(2 ** 31 + 1);
});

test('a file system larger than 32-bit counts shows as the largest', () => {
  const space = { bsize: 4096, blocks: 2 ** 40, bfree: 9, bavail: 8, files: 7, ffree: 6 };
  expect([...spaceWords(space)].slice(0, 8)).toEqual([4096, 4096, 2 ** 32 - 1, 9, 8, 7, 6, 6]);
});
