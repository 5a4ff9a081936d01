import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  AT_FDCWD,
  F_OFD_SETLK,
  F_RDLCK,
  F_SETLK,
  F_UNLCK,
  F_WRLCK,
  flockStruct,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  resultOf,
  runProgram,
  type Step,
  tryFlock,
  tryLock,
} from '../../syscalls/index.ts';
import type { CaseContext, CaseGroup } from '../case.ts';
import { withFile } from '../expect.ts';

const EAGAIN = 11;

/** Whether another process could lock now: `call` gets the child's own descriptor. */
function otherMay(path: string, ...lock: (string | number | Buffer)[]): boolean {
  const [name, ...args] = lock;
  const steps: Step[] = [
    ['openat', AT_FDCWD, path, fs.constants.O_RDWR, 0],
    [name as 'flock' | 'fcntl', resultOf(0), ...args],
  ];
  const result = runProgram(steps).results[1]!;
  assert.ok(result === 0 || result === -EAGAIN, `lock: ${result}`);
  return result === 0;
}

function lockFile({ at }: CaseContext): string {
  fs.writeFileSync(at('lock'), 'x'.repeat(100));
  return at('lock');
}

export const locks: CaseGroup = {
  'flock: exclusive keeps others out, shared lets sharers in': (context) => {
    const path = lockFile(context);
    withFile(path, 'r+', (fd) => {
      assert.ok(tryFlock(fd, LOCK_EX | LOCK_NB));
      assert.equal(otherMay(path, 'flock', LOCK_SH | LOCK_NB), false);
      assert.ok(tryFlock(fd, LOCK_SH | LOCK_NB));
      assert.equal(otherMay(path, 'flock', LOCK_SH | LOCK_NB), true);
      assert.equal(otherMay(path, 'flock', LOCK_EX | LOCK_NB), false);
      assert.ok(tryFlock(fd, LOCK_UN));
      assert.equal(otherMay(path, 'flock', LOCK_EX | LOCK_NB), true);
    });
  },

  'flock belongs to the open file: two opens of one process conflict, close drops it': (
    context,
  ) => {
    const path = lockFile(context);
    withFile(path, 'r', (other) => {
      withFile(path, 'r', (fd) => {
        assert.ok(tryFlock(fd, LOCK_EX | LOCK_NB));
        assert.equal(tryFlock(other, LOCK_EX | LOCK_NB), false);
      });
      assert.ok(tryFlock(other, LOCK_EX | LOCK_NB));
    });
  },

  'flock is on the file, not on its name': (context) => {
    const path = lockFile(context);
    fs.linkSync(path, context.at('link'));
    withFile(path, 'r+', (fd) => {
      tryFlock(fd, LOCK_EX | LOCK_NB);
      fs.renameSync(path, context.at('renamed'));
      assert.equal(otherMay(context.at('link'), 'flock', LOCK_EX | LOCK_NB), false);
      assert.equal(otherMay(context.at('renamed'), 'flock', LOCK_EX | LOCK_NB), false);
    });
  },

  'record locks keep other processes out of their range only': (context) => {
    const path = lockFile(context);
    withFile(path, 'r+', (fd) => {
      assert.ok(tryLock(fd, F_WRLCK, 10, 10));
      assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_WRLCK, 15, 1)), false);
      assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_RDLCK, 0, 0)), false);
      assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_WRLCK, 20, 10)), true);
      assert.ok(tryLock(fd, F_RDLCK, 10, 10));
      assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_RDLCK, 15, 1)), true);
      assert.ok(tryLock(fd, F_UNLCK, 10, 10));
      assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_WRLCK, 0, 0)), true);
    });
  },

  'record locks go with any close of the file by their process': (context) => {
    const path = lockFile(context);
    withFile(path, 'r+', (fd) => {
      assert.ok(tryLock(fd, F_WRLCK));
      withFile(path, 'r', () => {});
      assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_WRLCK, 0, 0)), true);
    });
  },

  'open-file-description locks conflict within a process, and outlive other closes': (context) => {
    const path = lockFile(context);
    withFile(path, 'r+', (a) => {
      assert.ok(tryLock(a, F_WRLCK, 0, 10, F_OFD_SETLK));
      withFile(path, 'r+', (b) => {
        assert.equal(tryLock(b, F_WRLCK, 5, 1, F_OFD_SETLK), false);
        assert.equal(tryLock(b, F_WRLCK, 10, 1, F_OFD_SETLK), true);
      });
      assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_WRLCK, 5, 1)), false);
    });
    assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_WRLCK, 5, 1)), true);
  },

  'a lock taken by a process that ends is free again': (context) => {
    const path = lockFile(context);
    const { results } = runProgram([
      ['openat', AT_FDCWD, path, fs.constants.O_RDWR, 0],
      ['fcntl', resultOf(0), F_SETLK, flockStruct(F_WRLCK, 0, 0)],
      ['flock', resultOf(0), LOCK_EX],
    ]);
    assert.deepEqual(results.slice(1), [0, 0]);
    assert.equal(otherMay(path, 'fcntl', F_SETLK, flockStruct(F_WRLCK, 0, 0)), true);
    assert.equal(otherMay(path, 'flock', LOCK_EX | LOCK_NB), true);
  },
};
