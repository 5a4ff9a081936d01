import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  linkAt,
  O_PATH,
  O_TMPFILE,
  open,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, namesIn, readText, stamps, textOf, withFile } from '../expect.ts';

const linksOf = (path: string): number => fs.lstatSync(path).nlink;

export const hardLinks: CaseGroup = {
  'all names of a file show one inode, count and content': ({ at }) => {
    fs.writeFileSync(at('a'), 'one');
    fs.mkdirSync(at('d'));
    fs.linkSync(at('a'), at('b'));
    fs.linkSync(at('b'), at('d', 'c'));
    for (const name of ['a', 'b', 'd/c']) {
      assert.equal(linksOf(at(name)), 3);
      assert.equal(fs.lstatSync(at(name)).ino, fs.lstatSync(at('a')).ino);
    }
    fs.appendFileSync(at('d', 'c'), ' two');
    assert.equal(textOf(at('a')), 'one two');
    fs.chmodSync(at('b'), 0o600);
    assert.equal(fs.lstatSync(at('a')).mode & 0o777, 0o600);
  },

  'the count falls with each unlink, and the last name keeps the data': ({ at }) => {
    fs.writeFileSync(at('a'), 'data');
    fs.linkSync(at('a'), at('b'));
    stamps(at('b'), ['ctime'], () => fs.unlinkSync(at('a')));
    assert.equal(linksOf(at('b')), 1);
    assert.equal(textOf(at('b')), 'data');
  },

  'link: EEXIST, ENOENT, EPERM for a directory; it stamps ctime only': ({ at }) => {
    fs.writeFileSync(at('a'), '');
    fs.writeFileSync(at('b'), '');
    fs.mkdirSync(at('d'));
    fails('EEXIST', () => fs.linkSync(at('a'), at('b')));
    fails('ENOENT', () => fs.linkSync(at('none'), at('c')));
    fails('EPERM', () => fs.linkSync(at('d'), at('e')));
    assert.equal(linksOf(at('a')), 1);
    stamps(at('a'), ['ctime'], () => fs.linkSync(at('a'), at('c')));
  },

  'a symlink can have hard links too': ({ at }) => {
    fs.symlinkSync('target', at('s'));
    linkAt(AT_FDCWD, at('s'), at('t'), 0);
    assert.equal(fs.readlinkSync(at('t')), 'target');
    assert.equal(linksOf(at('s')), 2);
    assert.equal(fs.lstatSync(at('s')).ino, fs.lstatSync(at('t')).ino);
  },

  'counts stay right over renames of either name': ({ at }) => {
    fs.mkdirSync(at('d'));
    fs.writeFileSync(at('a'), 'x');
    fs.linkSync(at('a'), at('b'));
    fs.renameSync(at('a'), at('d', 'a'));
    assert.equal(linksOf(at('b')), 2);
    fs.writeFileSync(at('other'), 'y');
    fs.renameSync(at('other'), at('b'));
    assert.deepEqual([linksOf(at('b')), linksOf(at('d', 'a'))], [1, 1]);
  },

  'rename between two names of one file does nothing': ({ at, dir }) => {
    fs.writeFileSync(at('a'), 'x');
    fs.linkSync(at('a'), at('b'));
    fs.renameSync(at('a'), at('b'));
    assert.deepEqual(namesIn(dir), ['a', 'b']);
    assert.equal(linksOf(at('a')), 2);
  },

  '300 links to one file, in many directories': ({ at }) => {
    fs.writeFileSync(at('f'), 'x');
    for (let i = 0; i < 300; i++) {
      if (i % 100 === 0) fs.mkdirSync(at(`d${i / 100}`));
      fs.linkSync(at('f'), at(`d${Math.floor(i / 100)}`, `${i}`));
    }
    assert.equal(linksOf(at('f')), 301);
    fs.rmSync(at('d1'), { recursive: true });
    assert.equal(linksOf(at('f')), 201);
  },

  'a name can be made anew for a descriptor (AT_EMPTY_PATH)': ({ at }) => {
    fs.writeFileSync(at('a'), 'x');
    const fd = open(at('a'), O_PATH);
    linkAt(fd, '', at('b'), AT_EMPTY_PATH);
    fs.closeSync(fd);
    assert.equal(linksOf(at('b')), 2);
  },
};

export const symlinks: CaseGroup = {
  'a target is kept as it is, to 4095 bytes': ({ at }) => {
    const targets = ['x', '/absolute/path', '../up', ' ', 'a'.repeat(4095)];
    targets.forEach((target, i) => {
      fs.symlinkSync(target, at(`${i}`));
      assert.equal(fs.readlinkSync(at(`${i}`)), target);
      assert.equal(fs.lstatSync(at(`${i}`)).size, target.length);
    });
    const bytes = Buffer.of(0xff, 0x2f, 0xfe);
    fs.symlinkSync(bytes, at('bytes'));
    assert.deepEqual(fs.readlinkSync(at('bytes'), 'buffer'), bytes);
  },

  'mode is 0777, and the type is shown by lstat': ({ at }) => {
    fs.symlinkSync('x', at('s'));
    const { mode, nlink } = fs.lstatSync(at('s'));
    assert.equal(mode, 0o120777);
    assert.equal(nlink, 1);
  },

  'calls go through it, and unlink, rename and lchown do not': ({ at }) => {
    fs.writeFileSync(at('f'), 'old');
    fs.symlinkSync('f', at('s'));
    fs.writeFileSync(at('s'), 'new');
    assert.equal(textOf(at('f')), 'new');
    fs.chmodSync(at('s'), 0o604);
    assert.equal(fs.lstatSync(at('f')).mode & 0o777, 0o604);
    fs.lchownSync(at('s'), 12, 34);
    assert.deepEqual([fs.lstatSync(at('s')).uid, fs.lstatSync(at('f')).uid], [12, 0]);
    fs.renameSync(at('s'), at('t'));
    fs.unlinkSync(at('t'));
    assert.equal(textOf(at('f')), 'new');
  },

  'a dangling link: open is ENOENT, O_CREAT makes the target': ({ at }) => {
    fs.symlinkSync('f', at('s'));
    fails('ENOENT', () => fs.readFileSync(at('s')));
    fails('EEXIST', () => open(at('s'), fs.constants.O_CREAT | fs.constants.O_EXCL));
    fs.writeFileSync(at('s'), 'made');
    assert.equal(textOf(at('f')), 'made');
  },

  'a loop is ELOOP, also for O_NOFOLLOW on a link': ({ at }) => {
    fs.symlinkSync('b', at('a'));
    fs.symlinkSync('a', at('b'));
    fails('ELOOP', () => fs.statSync(at('a')));
    fs.writeFileSync(at('f'), '');
    fs.symlinkSync('f', at('s'));
    fails('ELOOP', () => open(at('s'), fs.constants.O_NOFOLLOW));
  },

  'readlink of what is no link is EINVAL': ({ at, dir }) => {
    fs.writeFileSync(at('f'), '');
    fails('EINVAL', () => fs.readlinkSync(at('f')));
    fails('EINVAL', () => fs.readlinkSync(dir));
    fails('ENOENT', () => fs.symlinkSync('', at('empty')));
  },

  'a link replaced by rename shows its new target at once': ({ at }) => {
    for (const target of ['one', 'two', 'three']) {
      fs.symlinkSync(target, at('next'));
      fs.renameSync(at('next'), at('current'));
      assert.equal(fs.readlinkSync(at('current')), target);
    }
  },
};

export const unnamedFiles: CaseGroup = {
  'O_TMPFILE makes a file without a name, and linkat gives it one': ({ at, dir }) => {
    const fd = open(dir, O_TMPFILE | fs.constants.O_RDWR, 0o640);
    fs.writeSync(fd, 'unnamed');
    assert.deepEqual([fs.fstatSync(fd).nlink, namesIn(dir).length], [0, 0]);
    linkAt(AT_FDCWD, `/proc/self/fd/${fd}`, at('named'), AT_SYMLINK_FOLLOW);
    assert.equal(fs.fstatSync(fd).nlink, 1);
    assert.equal(fs.fstatSync(fd).ino, fs.lstatSync(at('named')).ino);
    fs.closeSync(fd);
    assert.equal(textOf(at('named')), 'unnamed');
    assert.equal(fs.lstatSync(at('named')).mode & 0o777, 0o640);
  },

  'O_TMPFILE with O_EXCL can never be linked': ({ at, dir }) => {
    const fd = open(dir, O_TMPFILE | fs.constants.O_RDWR | fs.constants.O_EXCL);
    fails('ENOENT', () => linkAt(fd, '', at('named'), AT_EMPTY_PATH));
    fs.closeSync(fd);
  },

  'an unlinked open file can be read, written, truncated and stat’ed': ({ at, dir }) => {
    fs.writeFileSync(at('f'), 'first');
    const fd = fs.openSync(at('f'), 'r+');
    fs.unlinkSync(at('f'));
    assert.deepEqual(namesIn(dir), []);
    fs.writeSync(fd, ' second', 5);
    assert.equal(readText(fd, 0, 100), 'first second');
    fs.ftruncateSync(fd, 5);
    fs.fchmodSync(fd, 0o600);
    fs.fchownSync(fd, 5, 6);
    fs.futimesSync(fd, 1, 2);
    fs.fsyncSync(fd);
    const { nlink, size, uid, gid, mtimeMs } = fs.fstatSync(fd);
    assert.deepEqual([nlink, size, uid, gid, mtimeMs], [0, 5, 5, 6, 2000]);
    fs.closeSync(fd);
  },

  'an unlinked open file is apart from a new one of its name': ({ at }) => {
    fs.writeFileSync(at('f'), 'old');
    withFile(at('f'), 'r+', (fd) => {
      fs.unlinkSync(at('f'));
      fs.writeFileSync(at('f'), 'new');
      fs.writeSync(fd, 'OLD', 0);
      assert.equal(readText(fd, 0, 9), 'OLD');
      assert.equal(textOf(at('f')), 'new');
      assert.notEqual(fs.fstatSync(fd).ino, fs.lstatSync(at('f')).ino);
    });
  },

  'an unlinked open file opens again through /proc': ({ at }) => {
    fs.writeFileSync(at('f'), 'still here');
    withFile(at('f'), 'r+', (fd) => {
      fs.unlinkSync(at('f'));
      assert.equal(textOf(`/proc/self/fd/${fd}`), 'still here');
      fs.writeFileSync(`/proc/self/fd/${fd}`, 'changed');
      assert.equal(readText(fd, 0, 20), 'changed');
    });
  },

  'a rename over an open file leaves its old data to the descriptor': ({ at }) => {
    fs.writeFileSync(at('f'), 'old');
    withFile(at('f'), 'r', (fd) => {
      fs.writeFileSync(at('next'), 'new');
      fs.renameSync(at('next'), at('f'));
      assert.equal(readText(fd, 0, 9), 'old');
      assert.equal(fs.fstatSync(fd).nlink, 0);
      assert.equal(textOf(at('f')), 'new');
    });
  },
};
