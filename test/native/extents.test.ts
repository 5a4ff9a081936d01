import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { O_CREAT, O_RDWR } from '../../src/base/mode.ts';
import { AT_FDCWD, native } from '../../src/native/binding.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

const BLOCK = 4096;
const KEEP_SIZE = 1;
let dir = '';
let file = -1;

beforeEach(() => {
  dir = newDir();
  file = native.openAt(AT_FDCWD, path.join(dir, 'file'), O_CREAT | O_RDWR, 0o600);
});
afterEach(() => {
  native.close(file);
  removeDir(dir);
});

/** How many of the bytes fit if `blocks` blocks may be allocated. */
const fitting = (offset: number, length: number, blocks: number) =>
  native.fitting(file, offset, length, blocks * BLOCK, BLOCK);

test('what has no blocks takes whole ones', () => {
  expect(fitting(0, 10, 0)).toBe(0);
  expect(fitting(0, 10, 1)).toBe(10);
  expect(fitting(100, 3 * BLOCK, 2)).toBe(2 * BLOCK - 100);
  expect(fitting(BLOCK - 1, 2, 1)).toBe(1);
  expect(fitting(BLOCK - 1, 2, 2)).toBe(2);
  expect(fitting(0, 2 ** 50, 5)).toBe(5 * BLOCK);
  expect(fitting(0, BLOCK, -1)).toBe(0);
});

test('what is written, or reserved, takes nothing', () => {
  // Blocks 2, 4, 6, ... 200 are there, before any of them has its place on the disk.
  for (let i = 2; i <= 200; i += 2) native.pwrite(file, Buffer.alloc(1), 0, 1, i * BLOCK);
  expect(fitting(2 * BLOCK, BLOCK, 0)).toBe(BLOCK);
  expect(fitting(2 * BLOCK, BLOCK + 1, 0)).toBe(BLOCK);
  expect(fitting(0, 201 * BLOCK, 101)).toBe(201 * BLOCK);
  expect(fitting(0, 201 * BLOCK, 100)).toBe(199 * BLOCK);
  expect(native.fsync(file, false)).toBe(0);
  expect(fitting(0, 201 * BLOCK, 101)).toBe(201 * BLOCK);
  expect(fitting(0, 201 * BLOCK, 50)).toBe(99 * BLOCK);
  expect(native.fallocate(file, KEEP_SIZE, 0, 300 * BLOCK)).toBe(0);
  expect(fitting(1, 300 * BLOCK - 1, 0)).toBe(300 * BLOCK - 1);
});
