import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  renameWith,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, inDirectory, namesIn, readText, stamps, stat, textOf } from '../expect.ts';

export const rename: CaseGroup = {
  'a file keeps inode, content and mtime; ctime moves': ({ at }) => {
    fs.writeFileSync(at('a'), 'x');
    const before = stat(at('a'));
    stamps(at('a'), ['ctime'], () => {
      fs.renameSync(at('a'), at('b'));
      fs.renameSync(at('b'), at('a'));
    });
    assert.equal(stat(at('a')).ino, before.ino);
    assert.equal(textOf(at('a')), 'x');
  },

  'over a file: the old one goes, in one step': ({ at, dir }) => {
    fs.writeFileSync(at('a'), 'new');
    fs.writeFileSync(at('b'), 'old');
    const ino = stat(at('a')).ino;
    fs.renameSync(at('a'), at('b'));
    assert.deepEqual(namesIn(dir), ['b']);
    assert.deepEqual([textOf(at('b')), stat(at('b')).ino], ['new', ino]);
  },

  'type errors: EISDIR, ENOTDIR, ENOTEMPTY, EINVAL, ENOENT': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    fs.mkdirSync(at('d', 'sub'), { recursive: true });
    fs.mkdirSync(at('e'));
    fails('EISDIR', () => fs.renameSync(at('f'), at('d')));
    fails('ENOTDIR', () => fs.renameSync(at('e'), at('f')));
    fails(['ENOTEMPTY', 'EEXIST'], () => fs.renameSync(at('e'), at('d')));
    fails('EINVAL', () => fs.renameSync(at('d'), at('d', 'sub', 'x')));
    fails(['ENOTEMPTY', 'EEXIST'], () => fs.renameSync(at('d', 'sub'), at('d')));
    fails('ENOENT', () => fs.renameSync(at('none'), at('x')));
    fails('ENOENT', () => fs.renameSync(at('f'), at('none', 'x')));
    fails(['EBUSY', 'EINVAL'], () => fs.renameSync(`${at('d')}/.`, at('x')));
  },

  'a directory replaces an empty directory, with its children': ({ at, dir }) => {
    fs.mkdirSync(at('d', 'sub'), { recursive: true });
    fs.writeFileSync(at('d', 'f'), 'x');
    fs.mkdirSync(at('empty'));
    const ino = stat(at('d')).ino;
    fs.renameSync(at('d'), at('empty'));
    assert.deepEqual([namesIn(dir), namesIn(at('empty'))], [['empty'], ['f', 'sub']]);
    assert.equal(stat(at('empty')).ino, ino);
  },

  'a directory moves with open files and working directories in it': ({ at }) => {
    fs.mkdirSync(at('d', 'deep'), { recursive: true });
    fs.mkdirSync(at('to'));
    fs.writeFileSync(at('d', 'deep', 'f'), 'before');
    const fd = fs.openSync(at('d', 'deep', 'f'), 'r+');
    inDirectory(at('d', 'deep'), () => {
      fs.renameSync(at('d'), at('to', 'd'));
      fs.writeSync(fd, 'AFTER!', 0);
      assert.equal(textOf('f'), 'AFTER!');
      fs.writeFileSync('g', 'made after the move');
    });
    assert.equal(readText(fd, 0, 6), 'AFTER!');
    fs.closeSync(fd);
    assert.deepEqual(namesIn(at('to', 'd', 'deep')), ['f', 'g']);
    fails('ENOENT', () => fs.lstatSync(at('d')));
  },

  'a directory of 1,000 files moves between parents, and back': ({ at }) => {
    fs.mkdirSync(at('d'));
    fs.mkdirSync(at('other'));
    for (let i = 0; i < 1000; i++) fs.writeFileSync(at('d', `${i}`), `${i}`);
    fs.renameSync(at('d'), at('other', 'e'));
    assert.equal(namesIn(at('other', 'e')).length, 1000);
    assert.equal(textOf(at('other', 'e', '777')), '777');
    fs.renameSync(at('other', 'e'), at('d'));
    assert.equal(textOf(at('d', '999')), '999');
  },

  'parents’ times move, in both directories': ({ at }) => {
    fs.mkdirSync(at('a'));
    fs.mkdirSync(at('b'));
    fs.writeFileSync(at('a', 'f'), '');
    stamps(at('a'), ['mtime', 'ctime'], () =>
      stamps(at('b'), ['mtime', 'ctime'], () => fs.renameSync(at('a', 'f'), at('b', 'f'))),
    );
  },

  'NOREPLACE: EEXIST if the target is there, else as usual': ({ at, dir }) => {
    fs.writeFileSync(at('a'), 'a');
    fs.writeFileSync(at('b'), 'b');
    fails('EEXIST', () => renameWith(at('a'), at('b'), RENAME_NOREPLACE));
    assert.deepEqual([textOf(at('a')), textOf(at('b'))], ['a', 'b']);
    renameWith(at('a'), at('c'), RENAME_NOREPLACE);
    assert.deepEqual(namesIn(dir), ['b', 'c']);
  },

  'EXCHANGE swaps two files, and keeps their inodes': ({ at }) => {
    fs.writeFileSync(at('a'), 'a');
    fs.writeFileSync(at('b'), 'b');
    const [a, b] = [stat(at('a')).ino, stat(at('b')).ino];
    renameWith(at('a'), at('b'), RENAME_EXCHANGE);
    assert.deepEqual([textOf(at('a')), textOf(at('b'))], ['b', 'a']);
    assert.deepEqual([stat(at('a')).ino, stat(at('b')).ino], [b, a]);
    fails('ENOENT', () => renameWith(at('a'), at('none'), RENAME_EXCHANGE));
  },

  'EXCHANGE swaps a file with a full directory, over parents': ({ at }) => {
    fs.mkdirSync(at('p', 'd'), { recursive: true });
    fs.mkdirSync(at('q'));
    fs.writeFileSync(at('p', 'd', 'inside'), 'i');
    fs.writeFileSync(at('q', 'f'), 'f');
    renameWith(at('p', 'd'), at('q', 'f'), RENAME_EXCHANGE);
    assert.equal(textOf(at('p', 'd')), 'f');
    assert.equal(textOf(at('q', 'f', 'inside')), 'i');
    assert.deepEqual([fs.statSync(at('p')).nlink, fs.statSync(at('q')).nlink], [2, 3]);
    assert.equal(fs.statSync(`${at('q', 'f')}/..`).ino, fs.statSync(at('q')).ino);
  },

  'EXCHANGE swaps two directories with a directory’s own ancestor refused': ({ at }) => {
    fs.mkdirSync(at('a', 'b'), { recursive: true });
    fs.mkdirSync(at('c'));
    fs.writeFileSync(at('c', 'from-c'), '');
    fails('EINVAL', () => renameWith(at('a'), at('a', 'b'), RENAME_EXCHANGE));
    renameWith(at('a', 'b'), at('c'), RENAME_EXCHANGE);
    assert.deepEqual([namesIn(at('a', 'b')), namesIn(at('c'))], [['from-c'], []]);
  },

  'NOREPLACE with EXCHANGE, and unknown flags, are EINVAL': ({ at }) => {
    fs.writeFileSync(at('a'), '');
    fs.writeFileSync(at('b'), '');
    fails('EINVAL', () => renameWith(at('a'), at('b'), RENAME_NOREPLACE | RENAME_EXCHANGE));
    fails('EINVAL', () => renameWith(at('a'), at('b'), 0x100));
  },

  'WHITEOUT leaves a 0/0 character device behind': ({ at }) => {
    fs.writeFileSync(at('a'), 'a');
    renameWith(at('a'), at('b'), RENAME_WHITEOUT);
    assert.equal(textOf(at('b')), 'a');
    const whiteout = fs.lstatSync(at('a'));
    assert.ok(whiteout.isCharacterDevice());
    assert.equal(whiteout.rdev, 0);
  },

  'a name reused many times always shows its last file': ({ at, dir }) => {
    for (let i = 0; i < 200; i++) {
      fs.writeFileSync(at('tmp'), `${i}`);
      fs.renameSync(at('tmp'), at('f'));
      assert.equal(textOf(at('f')), `${i}`);
    }
    assert.deepEqual(namesIn(dir), ['f']);
  },

  'swap by three renames, of directories': ({ at }) => {
    fs.mkdirSync(at('a'));
    fs.mkdirSync(at('b'));
    fs.writeFileSync(at('a', 'x'), 'from a');
    fs.writeFileSync(at('b', 'x'), 'from b');
    fs.renameSync(at('a'), at('t'));
    fs.renameSync(at('b'), at('a'));
    fs.renameSync(at('t'), at('b'));
    assert.deepEqual([textOf(at('a', 'x')), textOf(at('b', 'x'))], ['from b', 'from a']);
  },
};
