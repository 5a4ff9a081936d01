import assert from 'node:assert/strict';
import fs from 'node:fs';
import { MAP_SHARED, Mapping, PROT_READ } from '../../syscalls/index.ts';
import type { CaseGroup } from '../case.ts';
import { readText, textOf, withFile } from '../expect.ts';
import { bigBytes, TEXT } from './fixture.ts';

/** Descriptors and mappings from before the first write: where writes are coherent, they see it. */
export const coherentReaders: CaseGroup = {
  'an old reader sees a new write': ({ at }) =>
    withFile(at('file'), 'r', (reader) => {
      assert.equal(readText(reader, 0, 4), TEXT.slice(0, 4));
      withFile(at('file'), 'r+', (writer) => {
        fs.writeSync(writer, 'NEW!', 0);
        assert.equal(readText(reader, 0, 100), `NEW!${TEXT.slice(4)}`);
        fs.writeSync(writer, 'AGAIN', 0);
        assert.equal(readText(reader, 0, 5), 'AGAIN');
      });
      fs.appendFileSync(at('file'), 'end');
      assert.equal(readText(reader, TEXT.length, 9), 'end');
      assert.equal(fs.fstatSync(reader).size, TEXT.length + 3);
    }),

  'an old reader sees a truncation': ({ at }) =>
    withFile(at('big'), 'r', (reader) => {
      assert.equal(readText(reader, 600_000, 1).length, 1);
      fs.truncateSync(at('big'), 5);
      assert.equal(readText(reader, 600_000, 1), '');
      assert.equal(readText(reader, 0, 9), bigBytes().toString('latin1', 0, 5));
      assert.equal(fs.fstatSync(reader).size, 5);
    }),

  'an old mapping sees a new write': ({ at }) =>
    withFile(at('file'), 'r', (reader) => {
      const mapping = Mapping.ofFile(reader, TEXT.length, MAP_SHARED, PROT_READ);
      assert.equal(mapping.text(0, 4), TEXT.slice(0, 4));
      withFile(at('file'), 'r+', (writer) => fs.writeSync(writer, 'NEW!', 0));
      assert.equal(mapping.text(0, 5), `NEW!${TEXT[4]}`);
      mapping.unmap();
    }),

  'tail -f: a reader at the end gets what is appended': ({ at }) =>
    withFile(at('file'), 'r', (reader) => {
      const buffer = Buffer.alloc(100);
      fs.readSync(reader, buffer);
      for (const line of ['one\n', 'two\n']) {
        fs.appendFileSync(at('file'), line);
        assert.equal(buffer.toString('latin1', 0, fs.readSync(reader, buffer)), line);
      }
    }),

  'an old reader opens for writing through /proc': ({ at }) =>
    withFile(at('file'), 'r', (reader) => {
      fs.writeFileSync(`/proc/self/fd/${reader}`, 'through /proc');
      assert.equal(textOf(at('file')), 'through /proc');
      assert.equal(readText(reader, 0, 50), 'through /proc');
    }),
};

/**
 * Where data is shared by all envs, a descriptor from before the first write may keep the old bytes:
 * whole, and without an error. New descriptors see the new ones.
 */
export const sharedReaders: CaseGroup = {
  'an old reader has the old bytes or the new, never an error': ({ at }) =>
    withFile(at('big'), 'r', (reader) => {
      const before = bigBytes().toString('latin1', 0, 4);
      assert.equal(readText(reader, 0, 4), before);
      withFile(at('big'), 'r+', (writer) => fs.writeSync(writer, 'NEW!', 0));
      assert.ok([before, 'NEW!'].includes(readText(reader, 0, 4)));
      assert.equal(textOf(at('big')).slice(0, 4), 'NEW!');
      assert.ok([before, 'NEW!'].includes(readText(reader, 0, 4)));
    }),

  'an old mapping stays readable to its end over a truncation': ({ at }) =>
    withFile(at('program'), 'r', (reader) => {
      const { size } = fs.fstatSync(reader);
      const mapping = Mapping.ofFile(reader, 4096, MAP_SHARED, PROT_READ);
      assert.equal(mapping.text(1, 3), 'ELF');
      fs.appendFileSync(at('program'), 'tail');
      assert.equal(mapping.text(1, 3), 'ELF');
      assert.equal(fs.statSync(at('program')).size, size + 4);
      mapping.unmap();
    }),

  'several writers and readers, from before and after the first write': ({ at }) =>
    withFile(at('file'), 'r', (old) => {
      readText(old, 0, 4);
      withFile(at('file'), 'r+', (first) =>
        withFile(at('file'), 'r+', (second) => {
          fs.writeSync(first, '1', 0);
          fs.writeSync(second, '2', 1);
          assert.equal(textOf(at('file')), `12${TEXT.slice(2)}`);
          assert.equal(readText(second, 0, 3), `12${TEXT[2]}`);
          withFile(at('file'), 'r', (late) => assert.equal(readText(late, 0, 2), '12'));
        }),
      );
      assert.equal(readText(old, 2, 4), TEXT.slice(2, 6));
    }),
};
