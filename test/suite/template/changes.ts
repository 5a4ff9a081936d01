import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import {
  allocate,
  asUser,
  copyRange,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  getAcl,
  getXattr,
  listXattrs,
  MAP_PRIVATE,
  MAP_SHARED,
  Mapping,
  nameToHandle,
  open,
  openHandle,
  removeXattr,
  SEEK_DATA,
  seek,
  setAcl,
  setTimes,
  setXattr,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, permissions, readText, stamps, stat, textOf, withFile } from '../expect.ts';
import { RandomIo } from '../random-io.ts';
import { checkSetIdPrograms } from '../set-id-programs.ts';
import { BIG_SIZE, bigBytes, OLD_TIME_NS, SPARSE_SIZE, TEXT, TREE_ACL } from './fixture.ts';

const { O_RDWR, O_TRUNC, O_WRONLY } = fs.constants;
const BOTH = ['mtime', 'ctime'] as const;

/** First changes of a template's files: data is copied up, attributes are not. */
export const templateFiles: CaseGroup = {
  'all is there as the template had it': ({ at }) => {
    assert.equal(textOf(at('file')), TEXT);
    assert.ok(fs.readFileSync(at('big')).equals(bigBytes()));
    assert.equal(stat(at('file')).mtimeNs, OLD_TIME_NS);
    assert.equal(stat(at('link')).mtimeNs, OLD_TIME_NS);
    assert.equal(getXattr(at('file'), 'user.origin').toString(), 'template');
    assert.deepEqual(getAcl(at('acl'), 'access'), TREE_ACL);
    assert.equal(permissions(at('set-id')), 0o6755);
    assert.equal(fs.lstatSync(at('hard-a')).nlink, 3);
    assert.equal(fs.lstatSync(at('hard-a')).ino, fs.lstatSync(at('sub', 'hard-c')).ino);
    assert.ok(fs.lstatSync(at('null')).isCharacterDevice() && fs.lstatSync(at('fifo')).isFIFO());
    assert.deepEqual([fs.lstatSync(at()).nlink, fs.lstatSync(at('sub')).nlink], [5, 3]);
  },

  'holes stay holes': ({ at }) => {
    withFile(at('sparse'), 'r', (fd) => {
      assert.equal(seek(fd, 0, SEEK_DATA), 1 << 20);
      assert.equal(readText(fd, (1 << 20) - 1, 6), '\0data\0');
    });
    assert.ok(fs.statSync(at('sparse')).blocks * 512 < SPARSE_SIZE / 4);
    fs.appendFileSync(at('sparse'), 'x');
    withFile(at('sparse'), 'r', (fd) => fs.fsyncSync(fd));
    assert.ok(fs.statSync(at('sparse')).blocks * 512 < SPARSE_SIZE / 4, 'also once copied up');
  },

  'a write in the middle changes that, and no more': ({ at }) => {
    const expected = bigBytes();
    expected.write('WRITTEN', 500_000);
    stamps(at('big'), BOTH, () =>
      withFile(at('big'), 'r+', (fd) => fs.writeSync(fd, 'WRITTEN', 500_000)),
    );
    assert.ok(fs.readFileSync(at('big')).equals(expected));
  },

  append: ({ at }) => {
    const { ino, mode } = stat(at('file'));
    stamps(at('file'), BOTH, () => fs.appendFileSync(at('file'), 'more'));
    assert.equal(textOf(at('file')), `${TEXT}more`);
    assert.deepEqual([stat(at('file')).ino, stat(at('file')).mode], [ino, mode]);
    assert.equal(getXattr(at('file'), 'user.origin').toString(), 'template');
  },

  'truncate down, up, and O_TRUNC': ({ at }) => {
    const { ino } = stat(at('big'));
    stamps(at('big'), BOTH, () => fs.truncateSync(at('big'), 1000));
    assert.ok(fs.readFileSync(at('big')).equals(bigBytes().subarray(0, 1000)));
    fs.truncateSync(at('file'), 100);
    assert.equal(textOf(at('file')), TEXT.padEnd(100, '\0'));
    stamps(at('other'), BOTH, () => fs.closeSync(open(at('other'), O_WRONLY | O_TRUNC)));
    assert.equal(fs.statSync(at('other')).size, 0);
    assert.equal(stat(at('big')).ino, ino);
  },

  'a store through a shared mapping': ({ at }) => {
    stamps(at('big'), BOTH, () =>
      withFile(at('big'), 'r+', (fd) => {
        const mapping = Mapping.ofFile(fd, BIG_SIZE, MAP_SHARED);
        assert.ok(mapping.read(0, BIG_SIZE).equals(bigBytes()));
        mapping.write(4096, 'stored');
        mapping.sync();
        mapping.unmap();
      }),
    );
    assert.equal(textOf(at('big')).slice(4096, 4102), 'stored');
  },

  'a private mapping of the template’s bytes': ({ at }) =>
    withFile(at('big'), 'r', (fd) => {
      const mapping = Mapping.ofFile(fd, BIG_SIZE, MAP_PRIVATE);
      mapping.write(0, 'mine');
      assert.ok(fs.readFileSync(at('big')).equals(bigBytes()));
      mapping.unmap();
    }),

  'punching a hole, and allocation': ({ at }) => {
    withFile(at('big'), 'r+', (fd) => {
      allocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 65_536, 65_536);
      allocate(fd, 0, BIG_SIZE, 4096);
    });
    const expected = Buffer.concat([bigBytes().fill(0, 65_536, 131_072), Buffer.alloc(4096)]);
    assert.ok(fs.readFileSync(at('big')).equals(expected));
  },

  'copy_file_range between template files': ({ at }) => {
    withFile(at('big'), 'r', (from) =>
      withFile(at('file'), 'r+', (to) => assert.equal(copyRange(from, 0, to, 0, 8192), 8192)),
    );
    assert.ok(fs.readFileSync(at('file')).equals(bigBytes().subarray(0, 8192)));
  },

  'open for writing without a write leaves everything as it is': ({ at }) => {
    stamps(at('file'), [], () => fs.closeSync(open(at('file'), O_RDWR)));
    stamps(at('big'), [], () => fs.closeSync(open(at('big'), O_WRONLY)));
    assert.equal(stat(at('big')).mtimeNs, OLD_TIME_NS);
  },

  'chmod, chown, utimes and xattrs keep data, inode and mtime': ({ at }) => {
    const before = stat(at('big'));
    stamps(at('big'), ['ctime'], () => {
      fs.chmodSync(at('big'), 0o600);
      fs.chownSync(at('big'), 7, 8);
      setXattr(at('big'), 'user.mine', '1');
    });
    const after = stat(at('big'));
    assert.deepEqual([after.ino, after.mtimeNs, after.uid], [before.ino, OLD_TIME_NS, 7n]);
    setTimes(at('big'), { sec: 1, nsec: 2 }, { sec: 3, nsec: 4 });
    assert.equal(stat(at('big')).mtimeNs, 3_000_000_004n);
    assert.ok(fs.readFileSync(at('big')).equals(bigBytes()));
    fs.appendFileSync(at('big'), 'x');
    assert.deepEqual([permissions(at('big')), fs.statSync(at('big')).gid], [0o600, 8]);
    assert.equal(getXattr(at('big'), 'user.mine').toString(), '1');
  },

  'times that were set before the first write stay until it': ({ at }) => {
    withFile(at('file'), 'r+', (fd) => {
      fs.futimesSync(fd, 100, 200);
      assert.equal(stat(at('file')).mtimeNs, 200_000_000_000n);
    });
    assert.equal(stat(at('file')).mtimeNs, 200_000_000_000n);
    stamps(at('file'), BOTH, () => fs.appendFileSync(at('file'), 'x'));
  },

  'times set on a descriptor after a write stay over close (as tar does)': ({ at }) => {
    withFile(at('file'), 'r+', (fd) => {
      fs.writeSync(fd, 'written');
      fs.futimesSync(fd, 100, 200);
    });
    assert.equal(stat(at('file')).mtimeNs, 200_000_000_000n);
    fs.chmodSync(at('file'), 0o600);
    assert.equal(stat(at('file')).mtimeNs, 200_000_000_000n);
  },

  'a template’s xattr is changed and removed; ACLs follow chmod': ({ at }) => {
    setXattr(at('file'), 'user.origin', 'env');
    assert.equal(getXattr(at('file'), 'user.origin').toString(), 'env');
    removeXattr(at('file'), 'user.origin');
    assert.deepEqual(listXattrs(at('file')), []);
    fs.chmodSync(at('acl'), 0o600);
    assert.deepEqual(getAcl(at('acl'), 'access')[3], ['mask', 0]);
    setAcl(at(), 'default', [...TREE_ACL]);
    fs.writeFileSync(at('inherits'), '');
    assert.equal(permissions(at('inherits')), 0o640);
  },

  'set-ID bits go with a user’s write': ({ at, dir }) => {
    fs.chmodSync(dir, 0o755);
    asUser({ uid: 1000, gid: 1000 }, () => fs.appendFileSync(at('set-id'), 'x'));
    assert.equal(permissions(at('set-id')), 0o755);
  },

  'set-ID programs that a user changed give him no rights': ({ dir }) => {
    fs.chmodSync(dir, 0o755);
    checkSetIdPrograms(dir);
  },

  'the inode number is the same before and after copy-up, rename and attribute changes': ({
    at,
  }) => {
    for (const name of ['file', 'none', 'big', 'program']) {
      const { ino } = stat(at(name));
      withFile(at(name), 'r', (reader) => {
        fs.appendFileSync(at(name), 'x');
        fs.chmodSync(at(name), 0o604);
        fs.renameSync(at(name), at('sub', name));
        assert.equal(stat(at('sub', name)).ino, ino, name);
        assert.equal(fs.fstatSync(reader, { bigint: true }).ino, ino, `${name}, by descriptor`);
      });
    }
  },

  'a hard link group stays one file over copy-up': ({ at }) => {
    fs.appendFileSync(at('hard-b'), 'more');
    for (const name of ['hard-a', 'hard-b', 'sub/hard-c']) {
      assert.equal(textOf(at(name)), `${TEXT}more`);
      assert.deepEqual([stat(at(name)).ino, stat(at(name)).nlink], [stat(at('hard-a')).ino, 3n]);
    }
    fs.unlinkSync(at('hard-a'));
    fs.linkSync(at('hard-b'), at('hard-d'));
    fs.renameSync(at('sub', 'hard-c'), at('hard-a'));
    assert.equal(stat(at('hard-d')).nlink, 3n);
    fs.writeFileSync(at('hard-d'), 'new');
    assert.equal(textOf(at('hard-a')), 'new');
  },

  'link counts of a group without any write': ({ at }) => {
    fs.unlinkSync(at('sub', 'hard-c'));
    assert.equal(stat(at('hard-a')).nlink, 2n);
    fs.linkSync(at('hard-a'), at('again'));
    assert.equal(stat(at('hard-b')).nlink, 3n);
    assert.equal(stat(at('again')).ino, stat(at('hard-b')).ino);
  },

  'a further link to a template file is the same file, before and after a write': ({ at }) => {
    fs.linkSync(at('big'), at('sub', 'big'));
    assert.equal(stat(at('big')).nlink, 2n);
    fs.appendFileSync(at('sub', 'big'), 'x');
    assert.equal(stat(at('big')).size, BigInt(BIG_SIZE + 1));
    assert.equal(stat(at('big')).ino, stat(at('sub', 'big')).ino);
  },

  'unlink while open: the template’s bytes stay readable and can be changed': ({ at }) => {
    withFile(at('big'), 'r', (reader) =>
      withFile(at('file'), 'r+', (writer) => {
        fs.unlinkSync(at('big'));
        fs.unlinkSync(at('file'));
        assert.equal(fs.fstatSync(reader).nlink, 0);
        assert.equal(readText(reader, 0, 100), bigBytes().toString('latin1', 0, 100));
        fs.writeSync(writer, 'TEXT', 0);
        assert.equal(readText(writer, 0, 100), `TEXT${TEXT.slice(4)}`);
        assert.equal(fs.fstatSync(writer).nlink, 0);
      }),
    );
  },

  'a program runs, cannot be written meanwhile (ETXTBSY), and can be replaced': async ({ at }) => {
    const child = spawn(at('program'), ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    try {
      fails('ETXTBSY', () => open(at('program'), O_RDWR));
      fails('ETXTBSY', () => fs.truncateSync(at('program')));
      fs.copyFileSync('/bin/true', at('next'));
      fs.renameSync(at('next'), at('program'));
      assert.equal(spawnSync(at('program')).status, 0);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  },

  'a program can be rewritten in place once it ended, and runs anew': ({ at }) => {
    assert.equal(spawnSync(at('program'), ['0']).status, 0);
    fs.copyFileSync('/bin/false', at('program'));
    assert.equal(spawnSync(at('program')).status, 1);
    const fd = fs.openSync(at('program'), 'r+');
    assert.equal((spawnSync(at('program')).error as NodeJS.ErrnoException).code, 'ETXTBSY');
    fs.closeSync(fd);
  },

  'a file handle of a template file stays good over copy-up': ({ at, dir }) => {
    const handle = nameToHandle(at('file'));
    fs.appendFileSync(at('file'), 'more');
    withFile(dir, 'r', (mount) => {
      const fd = openHandle(mount, handle, O_RDWR);
      assert.equal(readText(fd, 0, 100), `${TEXT}more`);
      fs.closeSync(fd);
    });
  },

  'I/O of all kinds at random agrees with a copy in memory': ({ at }) => {
    new RandomIo(at('big'), 4).run(200);
    new RandomIo(at('none'), 5).run(200);
    new RandomIo(at('sparse'), 6).run(100);
  },

  'O_TRUNC rewrite by many short writes': ({ at }) => {
    withFile(at('big'), 'w', (fd) => {
      for (let i = 0; i < 500; i++) fs.writeSync(fd, `line ${i}\n`);
    });
    assert.equal(textOf(at('big')).split('\n').length, 501);
  },
};
