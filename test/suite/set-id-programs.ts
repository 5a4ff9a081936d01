import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { writeWithFlags } from '../model/sync-write.ts';
import {
  allocate,
  asUser,
  call,
  copyRange,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  MAP_SHARED,
  Mapping,
  open,
} from '../syscalls/index.ts';
import { permissions, withFile } from './expect.ts';

const USER = { uid: 1000, gid: 1000 };
const PROGRAM = '/usr/bin/id';

/** How a user changes a program: with a descriptor on it, and one on a file to take bytes from. */
const WAYS: Record<string, (fd: number, source: number, size: number) => void> = {
  write: (fd, _, size) => void fs.writeSync(fd, 'x', size),
  append: (fd, _, size) => writeWithFlags(fd, Buffer.from('x'), size, 0),
  truncate: (fd, _, size) => fs.ftruncateSync(fd, size + 1),
  sendfile: (fd, source, size) => {
    call('lseek', fd, size, 0);
    call('sendfile', fd, source, 0, 100);
  },
  splice: (fd, source, size) => {
    const ends = Buffer.alloc(8);
    call('pipe2', ends, 0);
    const [out, into] = [ends.readInt32LE(0), ends.readInt32LE(4)];
    call('splice', source, 0, into, 0, 100, 0);
    call('lseek', fd, size, 0);
    call('splice', out, 0, fd, 0, 100, 0);
    fs.closeSync(out);
    fs.closeSync(into);
  },
  copy: (fd, source, size) => void copyRange(source, 0, fd, size, 100),
  fallocate: (fd, _, size) => void allocate(fd, 0, size, 4096),
  punch: (fd, _, size) => void allocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, size - 1, 1),
};

/** Makes set-user-ID and set-group-ID programs in `dir`, one of each for each way to change it. */
export function makeSetIdPrograms(dir: string): void {
  for (const way of [...Object.keys(WAYS), 'store']) {
    for (const [kind, uid, gid, mode] of [
      ['u', 0, USER.gid, 0o4775],
      ['g', USER.uid, 0, 0o2775],
    ] as const) {
      const file = path.join(dir, `${way}-${kind}`);
      fs.copyFileSync(PROGRAM, file);
      fs.chownSync(file, uid, gid);
      fs.chmodSync(file, mode);
    }
  }
}

/**
 * A user who may write a set-ID program changes it, in each way, and runs it at once: he gets nobody's rights but his
 * own. A store through a mapping is no write, and leaves the bits.
 */
export function checkSetIdPrograms(dir: string): void {
  const source = fs.openSync(path.join(dir, 'store-u'), 'r');
  for (const kind of ['u', 'g']) {
    for (const [way, change] of Object.entries(WAYS)) {
      const file = path.join(dir, `${way}-${kind}`);
      assert.equal(idOf(file, kind), '0', `${way}-${kind} before`);
      asUser(USER, () => {
        const fd = open(file, fs.constants.O_WRONLY);
        change(fd, source, fs.fstatSync(fd).size);
        fs.closeSync(fd);
      });
      assert.equal(idOf(file, kind), '1000', `${way}-${kind} after`);
      assert.equal(permissions(file), 0o775, `${way}-${kind}`);
    }
    const file = path.join(dir, `store-${kind}`);
    asUser(USER, () =>
      withFile(file, 'r+', (fd) => {
        const mapping = Mapping.ofFile(fd, 4096, MAP_SHARED);
        mapping.write(0, mapping.read(0, 1));
        mapping.unmap();
      }),
    );
    assert.equal(idOf(file, kind), '0', `store-${kind}`);
  }
  fs.closeSync(source);
}

/** The effective id that the program has when the user runs it. */
function idOf(file: string, kind: string): string {
  const { stdout, stderr } = spawnSync(file, [`-${kind}`], { ...USER, encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout.trim();
}
