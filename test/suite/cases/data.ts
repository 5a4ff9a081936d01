import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  AT_FDCWD,
  call,
  copyRange,
  Mapping,
  open,
  resultOf,
  runProgram,
} from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { fails, readText, stamps, stat, textOf, withFile } from '../expect.ts';
import { RandomIo } from '../random-io.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_TRUNC, O_WRONLY, O_DIRECT, O_SYNC } = fs.constants;
const BLOCK = 4096;
const EFBIG = 27;

export const data: CaseGroup = {
  'reads end at the end of the file': ({ at }) => {
    fs.writeFileSync(at('f'), 'abc');
    withFile(at('f'), 'r', (fd) => {
      assert.equal(readText(fd, 1, 100), 'bc');
      assert.equal(readText(fd, 3, 100), '');
      assert.equal(readText(fd, 1e9, 100), '');
    });
  },

  'a write beyond the end leaves zeros between': ({ at }) => {
    withFile(at('f'), 'w+', (fd) => {
      fs.writeSync(fd, 'a', 0);
      fs.writeSync(fd, 'z', 10_000);
      assert.equal(fs.fstatSync(fd).size, 10_001);
      assert.equal(readText(fd, 0, 10_001), `a${'\0'.repeat(9999)}z`);
    });
  },

  'random writes and reads agree with a copy in memory': ({ at }) => {
    const size = 300_000;
    const copy = Buffer.alloc(size);
    withFile(at('f'), 'w+', (fd) => {
      for (let i = 1; i < 400; i++) {
        const start = (i * 7919) % (size - 5000);
        const piece = Buffer.alloc(1 + ((i * 131) % 5000), i);
        piece.copy(copy, start);
        fs.writeSync(fd, piece, 0, piece.length, start);
        const probe = (i * 104_729) % size;
        const length = Math.min(3000, size - probe, Math.max(0, fs.fstatSync(fd).size - probe));
        const read = Buffer.alloc(length);
        fs.readSync(fd, read, 0, length, probe);
        assert.ok(read.equals(copy.subarray(probe, probe + length)), `round ${i}`);
      }
    });
    const whole = fs.readFileSync(at('f'));
    assert.ok(whole.equals(copy.subarray(0, whole.length)));
  },

  'I/O of all kinds at random agrees with a copy in memory': ({ at }) => {
    for (const seed of [1, 2, 3]) {
      fs.writeFileSync(at('f'), 'start');
      new RandomIo(at('f'), seed).run(200);
    }
  },

  'a 20 MiB file is read back whole, by another descriptor': ({ at }) => {
    const chunk = Buffer.alloc(1 << 20);
    withFile(at('f'), 'w', (fd) => {
      for (let i = 0; i < 20; i++) fs.writeSync(fd, chunk.fill(i));
    });
    withFile(at('f'), 'r', (fd) => {
      for (let i = 0; i < 20; i++) {
        fs.readSync(fd, chunk);
        assert.ok(
          chunk.every((byte) => byte === i),
          `MiB ${i}`,
        );
      }
    });
  },

  'two descriptors see each other’s writes at once': ({ at }) => {
    fs.writeFileSync(at('f'), 'aaaa');
    withFile(at('f'), 'r+', (a) =>
      withFile(at('f'), 'r+', (b) => {
        for (let i = 0; i < 50; i++) {
          fs.writeSync(i % 2 ? a : b, `${i}`.padStart(4), 0);
          assert.equal(readText(i % 2 ? b : a, 0, 4), `${i}`.padStart(4));
        }
        fs.ftruncateSync(a, 1);
        assert.equal(readText(b, 0, 4), ' ');
      }),
    );
  },

  'O_APPEND writes at the end, wherever the position and whoever grew it': ({ at }) => {
    fs.writeFileSync(at('f'), 'start');
    withFile(at('f'), O_RDWR | O_APPEND, (a) =>
      withFile(at('f'), O_WRONLY | O_APPEND, (b) => {
        fs.writeSync(a, '-a');
        fs.writeSync(b, '-b');
        fs.writeSync(a, '-c', 0);
      }),
    );
    assert.equal(textOf(at('f')), 'start-a-b-c');
  },

  'appends of many processes never overwrite each other': ({ at }) => {
    fs.writeFileSync(at('f'), '');
    withFile(at('f'), O_WRONLY | O_APPEND, (fd) => {
      const line = Buffer.from('0123456789abcde\n');
      const steps = Array.from({ length: 100 }, () => ['write', fd, line, line.length] as const);
      for (let i = 0; i < 4; i++) runProgram(steps);
    });
    assert.equal(textOf(at('f')), '0123456789abcde\n'.repeat(400));
  },

  'O_EXCL: EEXIST for any existing name, else the file is made': ({ at }) => {
    fs.closeSync(open(at('f'), O_CREAT | O_EXCL | O_WRONLY));
    fails('EEXIST', () => open(at('f'), O_CREAT | O_EXCL | O_WRONLY));
    fails('EEXIST', () => open(at(), O_CREAT | O_EXCL | O_WRONLY));
  },

  'O_TRUNC empties a file, frees its blocks and keeps its inode': ({ at }) => {
    fs.writeFileSync(at('f'), Buffer.alloc(100_000, 1));
    const { ino } = stat(at('f'));
    stamps(at('f'), ['mtime', 'ctime'], () => fs.closeSync(open(at('f'), O_WRONLY | O_TRUNC)));
    const after = stat(at('f'));
    assert.deepEqual([after.size, after.ino], [0n, ino]);
    assert.ok(after.blocks <= 8n);
  },

  'truncate down and up again gives zeros, not old bytes': ({ at }) => {
    fs.writeFileSync(at('f'), Buffer.alloc(10_000, 'x'));
    withFile(at('f'), 'r+', (fd) => {
      assert.equal(readText(fd, 9000, 5), 'xxxxx');
      fs.truncateSync(at('f'), 5000);
      assert.equal(readText(fd, 4990, 100), 'x'.repeat(10));
      fs.ftruncateSync(fd, 10_000);
      assert.equal(readText(fd, 4990, 20), `${'x'.repeat(10)}${'\0'.repeat(10)}`);
    });
    stamps(at('f'), ['mtime', 'ctime'], () => fs.truncateSync(at('f'), 20_000));
    assert.equal(fs.statSync(at('f')).size, 20_000);
  },

  'truncate errors: EISDIR, ENOENT, EINVAL, and a read-only descriptor': ({ at, dir }) => {
    fs.writeFileSync(at('f'), 'x');
    fails('EISDIR', () => call('truncate', dir, 0));
    fails('ENOENT', () => call('truncate', at('none'), 0));
    fails('EINVAL', () => call('truncate', at('f'), -1));
    withFile(at('f'), 'r', (fd) => {
      fails(['EINVAL', 'EBADF'], () => fs.ftruncateSync(fd, 0));
      fails('EBADF', () => fs.writeSync(fd, 'x'));
    });
  },

  'a write moves mtime and ctime, a read moves neither': ({ at }) => {
    fs.writeFileSync(at('f'), 'abc');
    withFile(at('f'), 'r+', (fd) => {
      stamps(at('f'), ['mtime', 'ctime'], () => fs.writeSync(fd, 'x', 0));
      stamps(at('f'), [], () => readText(fd, 0, 3));
    });
    stamps(at('f'), [], () => fs.closeSync(fs.openSync(at('f'), 'r+')));
  },

  'size, mtime and blocks are right in stat while the file is open': ({ at }) => {
    withFile(at('f'), 'w', (fd) => {
      for (let i = 1; i <= 20; i++) {
        fs.writeSync(fd, Buffer.alloc(BLOCK, i));
        assert.equal(fs.statSync(at('f')).size, i * BLOCK);
      }
      fs.fsyncSync(fd);
      assert.ok(fs.statSync(at('f')).blocks >= (20 * BLOCK) / 512);
    });
  },

  'O_DIRECT reads what was written, and is coherent with buffered I/O': ({ at }) => {
    fs.writeFileSync(at('f'), Buffer.alloc(4 * BLOCK, 'b'));
    const memory = Mapping.ofMemory(BLOCK);
    withFile(at('f'), O_RDWR | O_DIRECT, (direct) =>
      withFile(at('f'), 'r+', (buffered) => {
        assert.equal(call('pread64', direct, memory.address, BLOCK, BLOCK), BLOCK);
        assert.equal(memory.text(0, 3), 'bbb');
        memory.write(0, 'direct!');
        assert.equal(call('pwrite64', direct, memory.address, BLOCK, BLOCK), BLOCK);
        assert.equal(readText(buffered, BLOCK, 7), 'direct!');
        fs.writeSync(buffered, 'buffered', 2 * BLOCK);
        assert.equal(call('pread64', direct, memory.address, BLOCK, 2 * BLOCK), BLOCK);
        assert.equal(memory.text(0, 8), 'buffered');
      }),
    );
    memory.unmap();
  },

  'O_SYNC writes are there after close': ({ at }) => {
    withFile(at('f'), O_CREAT | O_WRONLY | O_SYNC, (fd) => fs.writeSync(fd, 'synced'));
    assert.equal(textOf(at('f')), 'synced');
  },

  'copy_file_range copies within a file and between files': ({ at }) => {
    fs.writeFileSync(at('a'), 'x'.repeat(BLOCK) + 'y'.repeat(BLOCK));
    fs.writeFileSync(at('b'), '');
    withFile(at('a'), 'r+', (a) =>
      withFile(at('b'), 'r+', (b) => {
        stamps(at('b'), ['mtime', 'ctime'], () => {
          assert.equal(copyRange(a, BLOCK - 2, b, 0, 4), 4);
        });
        assert.equal(textOf(at('b')), 'xxyy');
        assert.equal(copyRange(a, BLOCK, a, 0, BLOCK), BLOCK);
        assert.equal(textOf(at('a')), 'y'.repeat(2 * BLOCK));
        assert.equal(copyRange(a, 5 * BLOCK, b, 0, 10), 0);
      }),
    );
  },

  'sendfile and splice move bytes out of a file': ({ at }) => {
    fs.writeFileSync(at('a'), 'through the kernel');
    withFile(at('a'), 'r', (a) =>
      withFile(at('b'), 'w', (b) => {
        assert.equal(call('sendfile', b, a, 0, 100), 18);
        const pipe = Buffer.alloc(8);
        call('pipe2', pipe, 0);
        const [out, into] = [pipe.readInt32LE(0), pipe.readInt32LE(4)];
        assert.equal(call('splice', a, Buffer.alloc(8), into, 0, 7, 0), 7);
        assert.equal(call('splice', out, 0, b, Buffer.alloc(8), 7, 0), 7);
        fs.closeSync(out);
        fs.closeSync(into);
      }),
    );
    assert.equal(textOf(at('b')), 'through the kernel');
  },

  'a file grows no further than RLIMIT_FSIZE': ({ at }) => {
    const RLIMIT_FSIZE = 1;
    const limit = Buffer.alloc(16);
    limit.writeBigUInt64LE(1000n, 0);
    limit.writeBigUInt64LE(1000n, 8);
    const { results } = runProgram([
      ['openat', AT_FDCWD, at('f'), O_CREAT | O_WRONLY, 0o644],
      ['prlimit64', 0, RLIMIT_FSIZE, limit, 0],
      ['write', resultOf(0), Buffer.alloc(2000), 2000],
      ['write', resultOf(0), Buffer.alloc(2000), 2000],
    ]);
    assert.equal(results[2], 1000);
    assert.equal(results[3] ?? -EFBIG, -EFBIG, 'EFBIG, or the end by SIGXFSZ');
    assert.equal(fs.statSync(at('f')).size, 1000);
  },
};
