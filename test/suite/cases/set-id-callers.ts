/** Whose calls leave set-ID bits on changed bytes: by groups, and by the user namespace of capabilities. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  AT_FDCWD,
  allocate,
  asUser,
  CLONE_NEWUSER,
  call,
  copyRange,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  type Outcome,
  resultOf,
  runProgram,
  type Step,
  setXattr,
  type User,
} from '../../syscalls/index.ts';
import type { CaseContext, CaseGroup } from '../case.ts';
import { permissions, withFile } from '../expect.ts';

const BLOCK = 4096;
const FILE_GROUP = 500;
const root: User = { uid: 0, gid: 0 };
const stranger: User = { uid: 2000, gid: 2000 };
const member: User = { uid: 2000, gid: FILE_GROUP };
/** In the file's group by a supplementary group only. */
const guest: User = { uid: 2000, gid: 2000, groups: [7, FILE_GROUP] };

/** Every call that changes a file's bytes or its allocation. */
const changes: Readonly<Record<string, (path: string, source: string) => void>> = {
  write: (path) => withFile(path, 'r+', (fd) => fs.writeSync(fd, 'x', 0)),
  append: (path) => fs.appendFileSync(path, 'x'),
  truncate: (path) => fs.truncateSync(path, 1),
  ftruncate: (path) => withFile(path, 'r+', (fd) => fs.ftruncateSync(fd, 1)),
  O_TRUNC: (path) => fs.writeFileSync(path, ''),
  allocate: (path) => withFile(path, 'r+', (fd) => allocate(fd, 0, 0, 2 * BLOCK)),
  'allocate beyond the end': (path) =>
    withFile(path, 'r+', (fd) => allocate(fd, FALLOC_KEEP_SIZE, BLOCK, 2 * BLOCK)),
  'punch a hole': (path) =>
    withFile(path, 'r+', (fd) => allocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, BLOCK)),
  'zero a range': (path) => withFile(path, 'r+', (fd) => allocate(fd, FALLOC_ZERO_RANGE, 0, BLOCK)),
  copy_file_range: (path, source) =>
    withFile(source, 'r', (from) => withFile(path, 'r+', (to) => copyRange(from, 0, to, 0, 4))),
};

/** What set-ID bits of `mode` each change leaves on a file of root's and FILE_GROUP. */
function bitsLeft({ at, dir }: CaseContext, user: User, mode: number): Record<string, number> {
  fs.chmodSync(dir, 0o755);
  fs.writeFileSync(at('source'), 'bytes');
  const left: Record<string, number> = {};
  for (const [name, change] of Object.entries(changes)) {
    const path = at(name.replaceAll(' ', '-'));
    fs.writeFileSync(path, Buffer.alloc(BLOCK, 1));
    fs.chownSync(path, 0, FILE_GROUP);
    fs.chmodSync(path, mode);
    const act = (): void => change(path, at('source'));
    if (user === root) act();
    else asUser(user, act);
    left[name] = permissions(path) & 0o6000;
  }
  return left;
}

const all = (bits: number): Record<string, number> =>
  Object.fromEntries(Object.keys(changes).map((name) => [name, bits]));

const [NO_BITS, USER_ID, GROUP_ID] = [0, 0o4000, 0o2000];

export const setIdCallers: CaseGroup = {
  'no change by a user leaves set-user-ID, nor set-group-ID with group execute': (context) => {
    for (const user of [stranger, member]) {
      assert.deepEqual(bitsLeft(context, user, 0o6777), all(NO_BITS));
    }
    assert.deepEqual(bitsLeft(context, root, 0o6777), all(USER_ID | GROUP_ID));
  },

  'set-group-ID without group execute stays for members of the file’s group, not for others': (
    context,
  ) => {
    assert.deepEqual(bitsLeft(context, stranger, 0o2767), all(NO_BITS));
    for (const user of [member, guest, root]) {
      assert.deepEqual(bitsLeft(context, user, 0o2767), all(GROUP_ID));
    }
  },

  'a chown by an owner who is not in the group takes it as well': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), '');
    const chowned = (user: User, gid: number): number => {
      fs.chownSync(at('f'), 2000, FILE_GROUP);
      fs.chmodSync(at('f'), 0o2745);
      const act = (): void => fs.chownSync(at('f'), 2000, gid);
      if (user === root) act();
      else asUser(user, act);
      return permissions(at('f')) & 0o6000;
    };
    assert.equal(chowned(stranger, 2000), NO_BITS);
    assert.equal(chowned(guest, 2000), GROUP_ID);
    assert.equal(chowned(root, 5), GROUP_ID);
  },

  'a chown to nobody takes both bits, if the owner makes it': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('f'), '');
    fs.chownSync(at('f'), 2000, 2000);
    fs.chmodSync(at('f'), 0o6755);
    asUser(stranger, () => call('fchownat', AT_FDCWD, at('f'), -1, -1, 0));
    assert.equal(permissions(at('f')), 0o755);
  },

  'capabilities in a user namespace of one’s own keep no bits, and show no trusted attributes': ({
    at,
    dir,
  }) => {
    fs.chmodSync(dir, 0o755);
    fs.writeFileSync(at('source'), 'his bytes');
    for (const name of ['copied', 'zeroed']) {
      fs.writeFileSync(at(name), 'root’s bytes');
      fs.chmodSync(at(name), 0o6777);
    }
    setXattr(at('source'), 'trusted.secret', '1');
    const run = (...before: Step[]): Outcome =>
      runProgram([
        ...before,
        ['openat', AT_FDCWD, at('source'), fs.constants.O_RDONLY, 0],
        ['openat', AT_FDCWD, at('copied'), fs.constants.O_RDWR, 0],
        ['openat', AT_FDCWD, at('zeroed'), fs.constants.O_RDWR, 0],
        ['copy_file_range', resultOf(before.length), 0, resultOf(before.length + 1), 0, 4, 0],
        ['fallocate', resultOf(before.length + 2), FALLOC_ZERO_RANGE, 0, 4],
        ['listxattr', at('source'), 0, 0],
        ['exit', 0],
      ]);
    const { results } = run(
      ['setgroups', 0, 0],
      ['setresgid', 2000, 2000, 2000],
      ['setresuid', 2000, 2000, 2000],
      ['unshare', CLONE_NEWUSER],
    );
    assert.deepEqual(results.slice(0, 4), [0, 0, 0, 0]);
    assert.deepEqual(results.slice(7), [4, 0, 0]);
    assert.deepEqual([permissions(at('copied')), permissions(at('zeroed'))], [0o777, 0o777]);
    assert.equal(run().results.at(-1), 'trusted.secret'.length + 1, 'root sees them');
  },
};
