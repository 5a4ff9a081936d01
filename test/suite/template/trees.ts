import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  readAllEntries,
  readEntries,
  renameWith,
  seek,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, inDirectory, namesIn, stamps, stat, textOf, withFile } from '../expect.ts';
import { FULL_COUNT, inDir, ODD_NAME, TEXT } from './fixture.ts';

const BOTH = ['mtime', 'ctime'] as const;

/** Names and directories that came with the template. */
export const templateTrees: CaseGroup = {
  'removed names are gone, and can be made anew as anything': ({ at }) => {
    stamps(at(), BOTH, () => fs.unlinkSync(at('file')));
    fails('ENOENT', () => fs.lstatSync(at('file')));
    assert.ok(!namesIn(at()).includes('file'));
    fs.mkdirSync(at('file'));
    assert.deepEqual(namesIn(at('file')), []);
    fs.rmdirSync(at('file'));
    fs.symlinkSync('other', at('file'));
    assert.equal(textOf(at('file')), TEXT);
    fs.unlinkSync(at('file'));
    fs.writeFileSync(at('file'), 'new');
    assert.equal(namesIn(at()).filter((name) => name === 'file').length, 1);
    assert.equal(textOf(at('file')), 'new');
  },

  'rmdir: ENOTEMPTY while the template’s entries are there, then it goes': ({ at }) => {
    fails('ENOTEMPTY', () => fs.rmdirSync(at('sub', 'deep')));
    fs.unlinkSync(at('sub', 'deep', 'leaf'));
    assert.deepEqual(namesIn(at('sub', 'deep')), []);
    fs.rmdirSync(at('sub', 'deep'));
    fails('ENOENT', () => fs.lstatSync(at('sub', 'deep')));
    assert.equal(stat(at('sub')).nlink, 2n);
  },

  'a directory made where one was removed is empty': ({ at }) => {
    const { ino } = stat(at('full'));
    // Held open, for a file system may give the number of what is gone to what comes next.
    const removed = fs.openSync(at('full'), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    fs.rmSync(at('full'), { recursive: true });
    fs.mkdirSync(at('full'));
    assert.deepEqual(namesIn(at('full')), []);
    fails('ENOENT', () => fs.lstatSync(at('full', 'entry-1')));
    fs.writeFileSync(at('full', 'entry-1'), 'mine');
    assert.deepEqual(namesIn(at('full')), ['entry-1']);
    assert.notEqual(stat(at('full')).ino, ino);
    fs.closeSync(removed);
  },

  'rename of a directory is no copy: inode, children and their inodes stay': ({ at }) => {
    const before = [stat(at('sub')).ino, stat(at('sub', 'deep', 'leaf')).ino];
    fs.renameSync(at('sub'), at('moved'));
    fails('ENOENT', () => fs.lstatSync(at('sub')));
    assert.deepEqual(namesIn(at('moved')), ['deep', 'hard-c', 'one']);
    assert.equal(textOf(at('moved', 'deep', 'leaf')), TEXT);
    assert.deepEqual([stat(at('moved')).ino, stat(at('moved', 'deep', 'leaf')).ino], before);
    fs.mkdirSync(at('sub'));
    assert.deepEqual(namesIn(at('sub')), []);
    fs.renameSync(at('moved', 'deep'), at('sub', 'deep'));
    assert.equal(textOf(at('sub', 'deep', 'leaf')), TEXT);
    assert.deepEqual([stat(at('moved')).nlink, stat(at('sub')).nlink], [2n, 3n]);
  },

  'a moved directory takes changes, and goes back': ({ at }) => {
    fs.renameSync(at('sub'), at('hollow', 'sub'));
    fs.unlinkSync(at('hollow', 'sub', 'one'));
    fs.writeFileSync(at('hollow', 'sub', 'deep', 'new'), 'new');
    fs.appendFileSync(at('hollow', 'sub', 'deep', 'leaf'), 'more');
    fs.renameSync(at('hollow', 'sub'), at('sub'));
    assert.deepEqual(namesIn(at('sub')), ['deep', 'hard-c']);
    assert.deepEqual(namesIn(at('sub', 'deep')), ['leaf', 'new']);
    assert.equal(textOf(at('sub', 'deep', 'leaf')), `${TEXT}more`);
    assert.equal(stat(at('hollow')).nlink, 2n);
  },

  'rename replaces an emptied directory, refuses a full one': ({ at }) => {
    fails(['ENOTEMPTY', 'EEXIST'], () => fs.renameSync(at('hollow'), at('sub')));
    fs.renameSync(at('sub'), at('hollow'));
    assert.equal(textOf(at('hollow', 'one')), TEXT);
    fs.mkdirSync(at('mine'));
    fs.rmSync(at('full'), { recursive: true });
    fs.mkdirSync(at('full'));
    fs.renameSync(at('mine'), at('full'));
  },

  'rename of files: over each other, NOREPLACE, EXCHANGE': ({ at }) => {
    const { ino } = stat(at('big'));
    fails('EEXIST', () => renameWith(at('file'), at('other'), RENAME_NOREPLACE));
    fs.renameSync(at('big'), at('file'));
    assert.equal(stat(at('file')).ino, ino);
    fails('ENOENT', () => fs.lstatSync(at('big')));
    const inos = [stat(at('sub')).ino, stat(at('other')).ino];
    renameWith(at('other'), at('sub'), RENAME_EXCHANGE);
    assert.deepEqual([stat(at('other')).ino, stat(at('sub')).ino], inos);
    assert.equal(textOf(at('other', 'deep', 'leaf')), TEXT);
    assert.equal(textOf(at('sub')), TEXT);
  },

  'a listing merges what the template has with what was added and removed': ({ at }) => {
    for (let i = 0; i < FULL_COUNT; i += 3) fs.unlinkSync(at('full', `entry-${i}`));
    for (let i = 0; i < 100; i++) fs.writeFileSync(at('full', `mine-${i}`), '');
    fs.writeFileSync(at('full', 'entry-0'), 'again');
    const names = namesIn(at('full'));
    assert.equal(names.length, FULL_COUNT - FULL_COUNT / 3 + 100 + 1);
    assert.equal(new Set(names).size, names.length);
    const entries = withFile(at('full'), 'r', (fd) => readAllEntries(fd, 512));
    assert.equal(entries.length, names.length + 2);
    for (const entry of entries.filter(({ name }) => name[0] !== 0x2e)) {
      assert.equal(entry.ino, fs.lstatSync(at('full', entry.name.toString())).ino);
    }
  },

  'listing while entries are removed and changed: each once, positions hold': ({ at }) =>
    withFile(at('full'), 'r', (fd) => {
      const seen: string[] = [];
      for (;;) {
        const some = readEntries(fd, 1024);
        if (some.length === 0) break;
        for (const name of some.map((entry) => entry.name.toString())) {
          if (name.startsWith('.')) continue;
          seen.push(name);
          if (seen.length % 2) fs.unlinkSync(at('full', name));
          else fs.appendFileSync(at('full', name), 'x');
        }
      }
      assert.equal(seen.length, FULL_COUNT);
      assert.equal(new Set(seen).size, FULL_COUNT);
      seek(fd, 0, 0);
      assert.equal(readAllEntries(fd).length, FULL_COUNT / 2 + 2);
    }),

  'rm -r of the whole tree, then the same names anew': ({ at }) => {
    fs.unlinkSync(inDir(at(), ODD_NAME));
    for (const name of fs.readdirSync(at())) fs.rmSync(at(name), { recursive: true });
    assert.deepEqual(namesIn(at()), []);
    fs.mkdirSync(at('sub', 'deep'), { recursive: true });
    fs.writeFileSync(at('sub', 'deep', 'leaf'), 'mine');
    assert.deepEqual(namesIn(at()), ['sub']);
    assert.deepEqual(namesIn(at('sub')), ['deep']);
    assert.equal(stat(at('sub')).nlink, 3n);
  },

  'symlinks of the template: replaced, chowned, linked': ({ at }) => {
    fs.lchownSync(at('link'), 5, 6);
    fs.linkSync(at('link'), at('link-2'));
    assert.deepEqual([fs.readlinkSync(at('link-2')), stat(at('link')).nlink], ['file', 2n]);
    assert.equal(stat(at('link-2')).uid, 5n);
    fs.symlinkSync('other', at('next'));
    fs.renameSync(at('next'), at('link'));
    assert.deepEqual([fs.readlinkSync(at('link')), stat(at('link-2')).nlink], ['other', 1n]);
  },

  'directories of the template take chmod, chown, times and xattrs': ({ at }) => {
    const { ino } = stat(at('sub'));
    fs.chmodSync(at('sub'), 0o700);
    fs.chownSync(at('sub'), 3, 4);
    fs.utimesSync(at('sub'), 10, 20);
    const after = fs.lstatSync(at('sub'), { bigint: true });
    assert.deepEqual(
      [after.ino, after.uid, after.mtimeNs, after.nlink],
      [ino, 3n, 20_000_000_000n, 3n],
    );
    assert.deepEqual(namesIn(at('sub')), ['deep', 'hard-c', 'one']);
  },

  'a working directory in the template is renamed and removed': ({ at }) => {
    inDirectory(at('sub', 'deep'), () => {
      fs.renameSync(at('sub'), at('elsewhere'));
      assert.equal(fs.readlinkSync('/proc/self/cwd'), fs.realpathSync(at('elsewhere', 'deep')));
      assert.equal(textOf('leaf'), TEXT);
      fs.rmSync(at('elsewhere'), { recursive: true });
      fails('ENOENT', () => fs.writeFileSync('x', ''));
      assert.deepEqual(fs.readdirSync('.'), []);
    });
  },

  'names that are not UTF-8 can be changed, renamed and removed': ({ at }) => {
    const odd = inDir(at(), ODD_NAME);
    fs.appendFileSync(odd, 'x');
    const moved = Buffer.concat([odd, Buffer.of(0xc0)]);
    fs.renameSync(odd, moved);
    assert.equal(textOf(moved), `${TEXT}x`);
    fails('ENOENT', () => fs.lstatSync(odd));
    fs.unlinkSync(moved);
  },

  'devices and fifos of the template work': ({ at }) => {
    fs.writeFileSync(at('null'), 'gone');
    const { stdout } = spawnSync('sh', ['-c', 'echo in > "$1" & cat "$1"; wait', 'sh', at('fifo')]);
    assert.equal(stdout.toString(), 'in\n');
    fs.renameSync(at('null'), at('sub', 'null'));
    fs.chmodSync(at('sub', 'null'), 0o600);
    assert.equal(fs.lstatSync(at('sub', 'null')).rdev, 0x103);
  },

  'tar and back is the same tree': ({ dir }) => {
    const script = 'tar -C "$1" --xattrs --acls -cf - . | tar -C "$2" --xattrs --acls -xpf -';
    const copy = fs.mkdtempSync(path.join(path.dirname(dir), 'copy-'));
    const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', dir, copy]);
    assert.equal(status, 0, stderr.toString());
    const diff = spawnSync('diff', ['-r', '--no-dereference', dir, copy], { encoding: 'utf8' });
    const complaints = diff.stdout.split('\n').filter((line) => !/special file|^$/.test(line));
    assert.deepEqual(
      complaints.filter((line) => !/fifo|null/.test(line)),
      [],
    );
    fs.rmSync(copy, { recursive: true });
  },
};

/** A directory that an OS template and an app template both fill. */
export const mergedTrees: CaseGroup = {
  'both templates’ entries are there, and the upper one wins': ({ at }) => {
    assert.equal(textOf(at('file')), 'of the app');
    assert.deepEqual(namesIn(at('sub')), ['added', 'app', 'deep', 'hard-c', 'one']);
    assert.deepEqual(
      [textOf(at('sub', 'one')), textOf(at('sub', 'app', 'leaf'))],
      [TEXT, 'leaf of the app'],
    );
    assert.equal(stat(at('sub')).nlink, 4n);
  },

  'a removed upper name does not let the lower one through': ({ at }) => {
    fs.unlinkSync(at('file'));
    fails('ENOENT', () => fs.lstatSync(at('file')));
    fs.writeFileSync(at('file'), 'mine');
    assert.equal(textOf(at('file')), 'mine');
    fs.renameSync(at('file'), at('moved'));
    fails('ENOENT', () => fs.lstatSync(at('file')));
  },

  'a merged directory moves as one, and is emptied and removed as one': ({ at }) => {
    fs.renameSync(at('sub'), at('moved'));
    assert.deepEqual(namesIn(at('moved')), ['added', 'app', 'deep', 'hard-c', 'one']);
    fs.appendFileSync(at('moved', 'added'), '!');
    assert.equal(textOf(at('moved', 'added')), 'added by the app!');
    fs.rmSync(at('moved'), { recursive: true });
    fs.mkdirSync(at('sub'));
    assert.deepEqual(namesIn(at('sub')), []);
    assert.equal(stat(at('sub')).nlink, 2n);
  },

  'listing is merged in one order, and positions hold': ({ at }) =>
    withFile(at('sub'), 'r', (fd) => {
      const all = readAllEntries(fd, 64);
      assert.equal(all.length, 7);
      seek(fd, all[3]!.cookie, 0);
      assert.deepEqual(
        readAllEntries(fd).map(({ name }) => name.toString()),
        all.slice(4).map(({ name }) => name.toString()),
      );
    }),
};
