import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isHeld, LockFile, signer, tryLock } from '../../src/native/lock-file.ts';

type Kind = 'shared' | 'exclusive';

let dir: string;
let file: string;
/** Locks of the test, released after it. */
let locks: LockFile[];

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'byref-lock-'));
  file = path.join(dir, 'lock');
  locks = [];
});
afterEach(() => {
  for (const lock of locks) lock.release();
  rmSync(dir, { recursive: true });
});

function opened(at = file, what: 'file' | 'directory' = 'file'): LockFile {
  const lock = new LockFile(at, what);
  locks.push(lock);
  return lock;
}

describe('a lock', () => {
  it.each<[Kind, Kind, boolean]>([
    ['shared', 'shared', true],
    ['shared', 'exclusive', false],
    ['exclusive', 'shared', false],
    ['exclusive', 'exclusive', false],
  ])('held %s lets others have it %s: %s', (first, second, works) => {
    const lock = opened();
    expect(lock.try(first)).toBe(true);
    expect(opened().try(second)).toBe(works);
    lock.release();
    lock.release();
    expect(opened().try('shared')).toBe(true);
  });

  it.each<[Kind | null, boolean, boolean]>([
    [null, false, false],
    ['shared', false, true],
    ['exclusive', true, true],
  ])('held %s: alone %s, at all %s', (kind, alone, atAll) => {
    if (kind !== null) opened().try(kind);
    expect([isHeld(file, 'exclusive'), isHeld(file, 'at-all')]).toEqual([alone, atAll]);
  });

  it('is also one of a directory, which it leaves as it is', () => {
    expect(opened(dir, 'directory').try('exclusive')).toBe(true);
    expect(opened(dir, 'directory').try('shared')).toBe(false);
    expect(isHeld(dir, 'at-all')).toBe(true);
  });

  it('is signed by who takes it with tryLock()', () => {
    expect(signer(file)).toBeNull();
    const lock = tryLock(file);
    expect(signer(file)).toBe(process.pid);
    expect(tryLock(file)).toBeNull();
    lock?.release();
    expect(isHeld(file, 'at-all')).toBe(false);
    expect(signer(file)).toBe(process.pid);
  });

  it('replaces what is written in the file', () => {
    const lock = opened();
    lock.write('a long word\n');
    lock.write('short\n');
    expect(lock.read()).toBe('short\n');
    expect(readFileSync(file, 'utf8')).toBe('short\n');
  });

  it.each([
    ['removed', () => rmSync(file)],
    [
      'replaced',
      () => {
        writeFileSync(`${file}.new`, '');
        renameSync(`${file}.new`, file);
      },
    ],
  ])('is of the file that is there, if the opened one was %s', (_what, change) => {
    const early = opened();
    change();
    const late = opened();
    expect(late.try('exclusive')).toBe(true);
    expect(early.try('exclusive')).toBe(false);
    late.release();
    expect(early.try('exclusive')).toBe(true);
    expect(opened().try('shared')).toBe(false);
  });

  it('can not be taken where its directory is gone', () => {
    expect(() => new LockFile(path.join(dir, 'gone/lock'))).toThrow("can't open");
    expect(isHeld(path.join(dir, 'gone/lock'), 'at-all')).toBe(false);
  });
});
