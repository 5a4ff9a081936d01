import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { CaseGroup } from '../case.ts';
import { fails, inDirectory, namesIn, stamps } from '../expect.ts';

const linksOf = (path: string): number => fs.lstatSync(path).nlink;

export const directories: CaseGroup = {
  'a new directory has two links, and each sub-directory adds one to its parent': ({ at, dir }) => {
    assert.equal(linksOf(dir), 2);
    fs.mkdirSync(at('a'));
    fs.mkdirSync(at('a', 'b'));
    fs.writeFileSync(at('a', 'f'), '');
    assert.deepEqual([linksOf(dir), linksOf(at('a')), linksOf(at('a', 'b'))], [3, 3, 2]);
    fs.rmdirSync(at('a', 'b'));
    assert.equal(linksOf(at('a')), 2);
  },

  'a rename moves a directory’s link from parent to parent': ({ at }) => {
    fs.mkdirSync(at('a', 'child'), { recursive: true });
    fs.mkdirSync(at('b'));
    fs.renameSync(at('a', 'child'), at('b', 'child'));
    assert.deepEqual([linksOf(at('a')), linksOf(at('b'))], [2, 3]);
    fs.mkdirSync(at('a', 'child'));
    fs.renameSync(at('a', 'child'), at('b', 'child'));
    assert.deepEqual([linksOf(at('a')), linksOf(at('b'))], [2, 3]);
  },

  'mkdir over anything is EEXIST': ({ at }) => {
    fs.mkdirSync(at('d'));
    fs.writeFileSync(at('f'), '');
    fs.symlinkSync('nowhere', at('s'));
    for (const name of ['d', 'f', 's', '.']) fails('EEXIST', () => fs.mkdirSync(`${at()}/${name}`));
    fails('ENOENT', () => fs.mkdirSync(at('none', 'd')));
  },

  'rmdir: ENOTEMPTY, ENOTDIR, EINVAL for ".", ENOENT': ({ at, dir }) => {
    fs.mkdirSync(at('d'));
    fs.writeFileSync(at('d', 'f'), '');
    fails('ENOTEMPTY', () => fs.rmdirSync(at('d')));
    fails('ENOTDIR', () => fs.rmdirSync(at('d', 'f')));
    fs.unlinkSync(at('d', 'f'));
    fails('EINVAL', () => fs.rmdirSync(`${at('d')}/.`));
    fails('ENOTEMPTY', () => fs.rmdirSync(`${at('d')}/..`));
    fs.rmdirSync(at('d'));
    fails('ENOENT', () => fs.rmdirSync(at('d')));
    assert.deepEqual(namesIn(dir), []);
  },

  'unlink of a directory is EISDIR, and changes nothing': ({ at }) => {
    fs.mkdirSync(at('d'));
    fails(['EISDIR', 'EPERM'], () => fs.unlinkSync(at('d')));
    assert.ok(fs.lstatSync(at('d')).isDirectory());
  },

  'changes of its entries stamp a directory’s mtime and ctime': ({ at, dir }) => {
    const both = ['mtime', 'ctime'] as const;
    stamps(dir, both, () => fs.writeFileSync(at('f'), ''));
    stamps(dir, both, () => fs.renameSync(at('f'), at('g')));
    stamps(dir, both, () => fs.linkSync(at('g'), at('h')));
    stamps(dir, both, () => fs.unlinkSync(at('g')));
    stamps(dir, both, () => fs.mkdirSync(at('d')));
    stamps(dir, both, () => fs.rmdirSync(at('d')));
    stamps(dir, both, () => fs.symlinkSync('x', at('s')));
    stamps(dir, [], () => fs.writeFileSync(at('h'), 'content is no change of the directory'));
    stamps(dir, [], () => fails('EEXIST', () => fs.mkdirSync(at('h'))));
  },

  '"." and ".." have the inode numbers of the directory and its parent': ({ at, dir }) => {
    fs.mkdirSync(at('a', 'b'), { recursive: true });
    const ino = (path: string): bigint => fs.lstatSync(path, { bigint: true }).ino;
    assert.equal(ino(`${at('a', 'b')}/.`), ino(at('a', 'b')));
    assert.equal(ino(`${at('a', 'b')}/..`), ino(at('a')));
    assert.equal(ino(`${at('a', 'b')}/../..`), ino(dir));
  },

  'after a rename ".." is the new parent': ({ at }) => {
    fs.mkdirSync(at('a', 'moved'), { recursive: true });
    fs.mkdirSync(at('b'));
    inDirectory(at('a', 'moved'), () => {
      fs.renameSync(at('a', 'moved'), at('b', 'moved'));
      assert.equal(fs.statSync('..').ino, fs.statSync(at('b')).ino);
    });
  },

  'a removed working directory is empty, and nothing can be made in it': ({ at }) => {
    fs.mkdirSync(at('gone'));
    inDirectory(at('gone'), () => {
      fs.rmdirSync(at('gone'));
      fails('ENOENT', () => fs.writeFileSync('f', ''));
      fails('ENOENT', () => fs.mkdirSync('d'));
      fails('ENOENT', () => process.cwd());
      assert.equal(fs.statSync('.').nlink, 0);
      assert.deepEqual(fs.readdirSync('.'), []);
    });
  },

  'an open directory that is removed lists nothing, and stat shows no links': ({ at }) => {
    fs.mkdirSync(at('gone'));
    const fd = fs.openSync(at('gone'), 'r');
    fs.rmdirSync(at('gone'));
    assert.deepEqual(fs.readdirSync(`/proc/self/fd/${fd}`), []);
    assert.equal(fs.fstatSync(fd).nlink, 0);
    fs.closeSync(fd);
  },

  'getcwd follows a rename of the working directory and of its parents': ({ at }) => {
    fs.mkdirSync(at('a', 'b'), { recursive: true });
    inDirectory(at('a', 'b'), () => {
      fs.renameSync(at('a', 'b'), at('a', 'c'));
      assert.equal(fs.readlinkSync('/proc/self/cwd'), fs.realpathSync(at('a', 'c')));
      fs.renameSync(at('a'), at('z'));
      assert.equal(fs.readlinkSync('/proc/self/cwd'), fs.realpathSync(at('z', 'c')));
      fs.writeFileSync('made-here', '');
    });
    assert.deepEqual(namesIn(at('z', 'c')), ['made-here']);
  },

  'a directory cannot be read or written as a file': ({ at }) => {
    fs.mkdirSync(at('d'));
    fails('EISDIR', () => fs.openSync(at('d'), 'r+'));
    fails('EISDIR', () => fs.readFileSync(at('d')));
    fails('EISDIR', () => fs.truncateSync(at('d')));
  },
};
