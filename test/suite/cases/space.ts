import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  allocate,
  call,
  FALLOC_COLLAPSE_RANGE,
  FALLOC_INSERT_RANGE,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  rawCall,
  SEEK_DATA,
  SEEK_HOLE,
  seek,
} from '../../syscalls/index.ts';
import type { CaseContext, CaseGroup } from '../case.ts';
import { fails, readText, stamps, withFile } from '../expect.ts';

const K64 = 65_536;
const EFFECTIVE_BLOCK = 4096;
const EOPNOTSUPP = 95;

/** A file of `letters.length` runs of 64 KiB, one letter each. */
function lettered({ at }: CaseContext, letters: string): string {
  fs.writeFileSync(
    at('f'),
    letters
      .split('')
      .map((letter) => letter.repeat(K64))
      .join(''),
  );
  return at('f');
}

/** The first letter of each 64 KiB of a file; '.' for zeros. */
const lettersOf = (path: string): string => {
  const bytes = fs.readFileSync(path, 'latin1');
  const starts = Array.from({ length: Math.ceil(bytes.length / K64) }, (_, i) => bytes[i * K64]!);
  return starts.join('').replaceAll('\0', '.');
};

export const space: CaseGroup = {
  'a sparse file takes no blocks for its holes': ({ at }) => {
    withFile(at('f'), 'w', (fd) => fs.writeSync(fd, 'end', 1 << 30));
    const { size, blocks } = fs.statSync(at('f'));
    assert.equal(size, (1 << 30) + 3);
    assert.ok(blocks * 512 <= 4 * K64, `${blocks} blocks`);
    fs.truncateSync(at('f'), 2 ** 40);
    assert.equal(fs.statSync(at('f')).size, 2 ** 40);
  },

  'st_blocks counts 512-byte units of what is written': ({ at }) => {
    fs.writeFileSync(at('f'), Buffer.alloc(10 * K64, 1));
    withFile(at('f'), 'r', (fd) => fs.fsyncSync(fd));
    const { blocks, blksize } = fs.statSync(at('f'));
    assert.ok(blocks >= 1280 && blocks <= 1280 + 64, `${blocks} blocks`);
    assert.ok(blksize >= 512);
  },

  'SEEK_DATA and SEEK_HOLE find data, holes and the end': ({ at }) => {
    withFile(at('f'), 'w+', (fd) => {
      fs.writeSync(fd, Buffer.alloc(K64, 1), 0, K64, 4 * K64);
      fs.ftruncateSync(fd, 8 * K64);
      fs.fsyncSync(fd);
      assert.equal(seek(fd, 0, SEEK_DATA), 4 * K64);
      assert.equal(seek(fd, 0, SEEK_HOLE), 0);
      assert.equal(seek(fd, 4 * K64, SEEK_HOLE), 5 * K64);
      fails('ENXIO', () => seek(fd, 5 * K64, SEEK_DATA));
      fails('ENXIO', () => seek(fd, 8 * K64, SEEK_DATA));
      fails('ENXIO', () => seek(fd, 9 * K64, SEEK_HOLE));
    });
  },

  'a file without holes has its only hole at the end': (context) => {
    withFile(lettered(context, 'ab'), 'r', (fd) => {
      assert.equal(seek(fd, 0, SEEK_DATA), 0);
      assert.equal(seek(fd, 5, SEEK_HOLE), 2 * K64);
    });
  },

  'allocation grows the file, with zeros and blocks': ({ at }) => {
    withFile(at('f'), 'w+', (fd) => {
      fs.writeSync(fd, 'x');
      stamps(at('f'), ['ctime', 'mtime'], () => allocate(fd, 0, 0, 4 * K64));
      const { size, blocks } = fs.fstatSync(fd);
      assert.equal(size, 4 * K64);
      assert.ok(blocks * 512 >= 4 * K64);
      assert.equal(readText(fd, 0, 3), 'x\0\0');
    });
  },

  'KEEP_SIZE allocates beyond the end and leaves the size': ({ at }) => {
    withFile(at('f'), 'w', (fd) => {
      fs.writeSync(fd, 'x');
      allocate(fd, FALLOC_KEEP_SIZE, 0, 4 * K64);
      const { size, blocks } = fs.fstatSync(fd);
      assert.equal(size, 1);
      assert.ok(blocks * 512 >= 4 * K64);
    });
  },

  'PUNCH_HOLE makes zeros and frees blocks': (context) => {
    const path = lettered(context, 'abc');
    withFile(path, 'r+', (fd) => {
      assert.equal(readText(fd, K64, 1), 'b');
      stamps(path, ['mtime', 'ctime'], () => {
        allocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, K64, K64);
      });
      assert.equal(readText(fd, K64, 1), '\0');
      assert.equal(seek(fd, 0, SEEK_HOLE), K64);
      assert.ok(fs.fstatSync(fd).blocks * 512 <= 2 * K64 + EFFECTIVE_BLOCK);
    });
    assert.equal(lettersOf(path), 'a.c');
  },

  'ZERO_RANGE makes zeros, and may grow the file': (context) => {
    const path = lettered(context, 'abc');
    withFile(path, 'r+', (fd) => allocate(fd, FALLOC_ZERO_RANGE, 2 * K64, 3 * K64));
    assert.equal(lettersOf(path), 'ab...');
  },

  'COLLAPSE_RANGE takes bytes out, INSERT_RANGE puts zeros in; or EOPNOTSUPP': (context) => {
    const path = lettered(context, 'abcd');
    withFile(path, 'r+', (fd) => {
      assert.equal(readText(fd, K64, 1), 'b');
      // Linux forwards neither to a FUSE server; Btrfs and tmpfs have neither.
      if (rawCall('fallocate', fd, FALLOC_COLLAPSE_RANGE, K64, K64) === -EOPNOTSUPP) {
        assert.equal(fs.fstatSync(fd).size, 4 * K64);
        return;
      }
      assert.equal(fs.fstatSync(fd).size, 3 * K64);
      assert.equal(readText(fd, K64, 1), 'c');
      allocate(fd, FALLOC_INSERT_RANGE, K64, K64);
      assert.equal(fs.fstatSync(fd).size, 4 * K64);
    });
    if (lettersOf(path) !== 'abcd') assert.equal(lettersOf(path), 'a.cd');
  },

  'allocation errors: EINVAL, EBADF on a read-only descriptor': (context) => {
    const path = lettered(context, 'a');
    withFile(path, 'r+', (fd) => {
      fails('EINVAL', () => allocate(fd, 0, 0, 0));
      fails('EINVAL', () => allocate(fd, 0, -1, 10));
      fails(['EINVAL', 'EOPNOTSUPP'], () => allocate(fd, FALLOC_COLLAPSE_RANGE, 0, K64));
      fails('EOPNOTSUPP', () => allocate(fd, FALLOC_PUNCH_HOLE, 0, K64));
    });
    withFile(path, 'r', (fd) => fails('EBADF', () => allocate(fd, 0, 0, 10)));
  },

  'writes at 2^40, and EFBIG where no file can reach': ({ at }) => {
    withFile(at('f'), 'w+', (fd) => {
      fs.writeSync(fd, 'far', 2 ** 40);
      assert.equal(readText(fd, 2 ** 40, 9), 'far');
      fails(['EFBIG', 'EINVAL'], () =>
        call('pwrite64', fd, Buffer.of(1), 1, Number.MAX_SAFE_INTEGER),
      );
    });
  },

  'statfs gives sizes that make sense, and names of 255': ({ dir }) => {
    const { bsize, blocks, bfree, bavail, files, ffree } = fs.statfsSync(dir);
    assert.ok(bsize >= 512 && blocks > 0 && bfree <= blocks && bavail <= bfree && ffree <= files);
    const raw = Buffer.alloc(120);
    call('statfs', dir, raw);
    assert.equal(raw.readBigInt64LE(64), 255n);
  },

  'fsync, fdatasync and syncfs succeed on files and directories': ({ at, dir }) => {
    fs.writeFileSync(at('f'), 'x');
    for (const path of [at('f'), dir]) {
      withFile(path, 'r', (fd) => {
        for (const name of ['fsync', 'fdatasync', 'syncfs'] as const) call(name, fd);
      });
    }
  },
};
