/** Rows of link tables carry sums: a bit that is another one is told, and those of an older byref, without sums, are read. */
import { expect, test } from 'vitest';
import { Damaged } from '../../src/base/damaged.ts';
import { ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { nameCookie } from '../../src/base/name-hash.ts';
import { encodeInode, inodeBytesMax } from '../../src/codec/inode-record-codec.ts';
import * as rows from '../../src/driver/delta/table-rows.ts';
import { ino, inode, name } from './open-env.ts';

const TARGET = 'target'.repeat(20);
const record = inode(4711, { target: TARGET, nlink: 2 });
const state = { sequence: 12, nextIno: 4712, lineage: 5n, bootId: '0123456789abcdef'.repeat(2) };

function nameKey(): Buffer {
  const key = Buffer.alloc(rows.NAME_KEY_MAX);
  const text = name('some name');
  return key.subarray(0, rows.writeNameKey(key, ROOT_INO, nameCookie(text), text));
}

/** Calls `work` with each bit of the bytes changed in turn. */
function eachFlip(bytes: Buffer, work: () => void): void {
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    work();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
}

test('no bit of a row can be another one unnoticed', () => {
  const key = nameKey();
  const named = rows.encodeName(key, { ino: ino(4711), type: S_IFREG });
  const inoKey = rows.inoKey(ino(4711));
  const inoded = rows.encodeInodeValue(inoKey, record);
  const stated = rows.encodeState(state);
  expect(rows.decodeName(key, named)).toEqual({ ino: 4711, type: S_IFREG });
  expect(rows.decodeRecord(inoKey, inoded)).toEqual(record);
  expect(rows.decodeState(stated)).toEqual(state);
  for (const bytes of [key, named])
    eachFlip(bytes, () => expect(() => rows.decodeName(key, named)).toThrow(Damaged));
  for (const bytes of [inoKey, inoded])
    eachFlip(bytes, () => expect(() => rows.decodeRecord(inoKey, inoded)).toThrow(Damaged));
  eachFlip(stated, () => expect(() => rows.decodeState(stated)).toThrow(Damaged));
});

test('rows of version 1 are read', () => {
  const named = rows.encodeName(nameKey(), { ino: ino(4711), type: S_IFREG }).subarray(0, -4);
  named[0] = 1;
  expect(rows.decodeName(nameKey(), named)).toEqual({ ino: 4711, type: S_IFREG });
  const bytes = Buffer.alloc(inodeBytesMax(record));
  const inoded = bytes.subarray(0, encodeInode(record, bytes, 0));
  expect(rows.decodeRecord(rows.inoKey(ino(4711)), inoded)).toEqual(record);
  const stated = rows.encodeState(state).subarray(0, -4);
  stated[0] = 1;
  expect(rows.decodeState(stated)).toEqual(state);
});
