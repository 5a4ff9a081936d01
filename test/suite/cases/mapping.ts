import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  MAP_PRIVATE,
  MAP_SHARED,
  Mapping,
  PROT_READ,
  runProgram,
  SIGBUS,
} from '../../syscalls/index.ts';
import type { CaseContext, CaseGroup } from '../case.ts';
import { fails, readText, stamps, textOf, withFile } from '../expect.ts';

const PAGE = 4096;

function mapped<T>({ at }: CaseContext, flags: number, action: (m: Mapping, fd: number) => T): T {
  if (!fs.existsSync(at('f'))) fs.writeFileSync(at('f'), 'a'.repeat(2 * PAGE));
  return withFile(at('f'), 'r+', (fd) => {
    const mapping = Mapping.ofFile(fd, 2 * PAGE, flags);
    try {
      return action(mapping, fd);
    } finally {
      mapping.unmap();
    }
  });
}

export const mappings: CaseGroup = {
  'a shared mapping shows the file’s bytes, and zeros after its end': (context) => {
    fs.writeFileSync(context.at('f'), 'a'.repeat(100));
    mapped(context, MAP_SHARED, (mapping) => {
      assert.equal(mapping.text(98, 4), 'aa\0\0');
    });
  },

  'a store through a shared mapping is seen by read, at once': (context) =>
    mapped(context, MAP_SHARED, (mapping, fd) => {
      mapping.write(10, 'stored');
      assert.equal(readText(fd, 9, 8), 'astoreda');
      assert.equal(textOf(context.at('f')).slice(10, 16), 'stored');
    }),

  'a write is seen through a shared mapping, at once': (context) =>
    mapped(context, MAP_SHARED, (mapping, fd) => {
      assert.equal(mapping.text(PAGE, 1), 'a');
      fs.writeSync(fd, 'written', PAGE);
      assert.equal(mapping.text(PAGE, 7), 'written');
    }),

  'two shared mappings, of two descriptors, are the same memory': (context) =>
    mapped(context, MAP_SHARED, (one) =>
      mapped(context, MAP_SHARED, (two) => {
        one.write(5, 'one');
        assert.equal(two.text(5, 3), 'one');
        two.write(PAGE + 5, 'two');
        assert.equal(one.text(PAGE + 5, 3), 'two');
      }),
    ),

  'stores stay after the descriptor and the mapping are gone': (context) => {
    mapped(context, MAP_SHARED, (mapping) => mapping.write(0, 'stays'));
    assert.equal(textOf(context.at('f')).slice(0, 6), 'staysa');
  },

  'msync with a store moves mtime and ctime': (context) =>
    mapped(context, MAP_SHARED, (mapping) => {
      stamps(context.at('f'), ['mtime', 'ctime'], () => {
        mapping.write(0, 'x');
        mapping.sync();
      });
    }),

  'a store moves mtime by the time all is unmapped and closed': (context) => {
    fs.writeFileSync(context.at('f'), 'a'.repeat(2 * PAGE));
    stamps(context.at('f'), ['mtime', 'ctime'], () => {
      mapped(context, MAP_SHARED, (mapping) => mapping.write(0, 'x'));
    });
  },

  'a private mapping keeps its stores to itself': (context) =>
    mapped(context, MAP_PRIVATE, (mapping, fd) => {
      mapping.write(0, 'private');
      assert.equal(mapping.text(0, 7), 'private');
      assert.equal(readText(fd, 0, 7), 'aaaaaaa');
    }),

  'a mapping outlives unlink and close': (context) => {
    const path = context.at('f');
    fs.writeFileSync(path, 'a'.repeat(2 * PAGE));
    const fd = fs.openSync(path, 'r+');
    const mapping = Mapping.ofFile(fd, 2 * PAGE, MAP_SHARED);
    fs.unlinkSync(path);
    fs.closeSync(fd);
    fs.writeFileSync(path, 'another file');
    mapping.write(0, 'alive');
    mapping.sync();
    assert.equal(mapping.text(0, 6), 'alivea');
    mapping.unmap();
  },

  'loads behind a truncated end raise SIGBUS': (context) =>
    mapped(context, MAP_SHARED, (mapping, fd) => {
      assert.equal(mapping.text(PAGE, 1), 'a');
      fs.ftruncateSync(fd, 10);
      const load = ['copy', Buffer.alloc(1), mapping.address + PAGE, 1] as const;
      assert.equal(runProgram([load]).signal, SIGBUS);
      assert.equal(mapping.text(9, 2), 'a\0');
    }),

  'stores of another process are seen, and the other way round': (context) =>
    mapped(context, MAP_SHARED, (mapping, fd) => {
      const text = Buffer.from('from the child');
      runProgram([['copy', mapping.address + 100, text, text.length]]);
      assert.equal(readText(fd, 100, text.length), 'from the child');
    }),

  'a read-only descriptor maps private for writing, and shared only to read': ({ at }) => {
    fs.writeFileSync(at('f'), 'a'.repeat(PAGE));
    withFile(at('f'), 'r', (fd) => {
      fails('EACCES', () => Mapping.ofFile(fd, PAGE, MAP_SHARED));
      const shared = Mapping.ofFile(fd, PAGE, MAP_SHARED, PROT_READ);
      const own = Mapping.ofFile(fd, PAGE, MAP_PRIVATE);
      own.write(0, 'own');
      assert.deepEqual([shared.text(0, 3), own.text(0, 3)], ['aaa', 'own']);
      shared.unmap();
      own.unmap();
    });
  },

  'a file that grew by write can be mapped and stored to there': (context) =>
    mapped(context, MAP_SHARED, (_, fd) => {
      fs.ftruncateSync(fd, 0);
      fs.writeSync(fd, 'b'.repeat(8 * PAGE), 0);
      const mapping = Mapping.ofFile(fd, 8 * PAGE, MAP_SHARED);
      mapping.write(7 * PAGE, 'tail');
      assert.equal(readText(fd, 7 * PAGE, 5), 'tailb');
      mapping.unmap();
    }),

  'mapping of the two ways of I/O at random agree with a copy in memory': (context) =>
    mapped(context, MAP_SHARED, (mapping, fd) => {
      const copy = Buffer.alloc(2 * PAGE, 'a');
      for (let i = 0; i < 200; i++) {
        const start = (i * 997) % (2 * PAGE - 64);
        const piece = Buffer.alloc(1 + (i % 60), 65 + (i % 26));
        piece.copy(copy, start);
        if (i % 2) mapping.write(start, piece);
        else fs.writeSync(fd, piece, 0, piece.length, start);
      }
      assert.ok(mapping.read(0, 2 * PAGE).equals(copy));
      assert.ok(fs.readFileSync(context.at('f')).equals(copy));
    }),
};
