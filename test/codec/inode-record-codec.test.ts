import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Ino, Name, ObjectId } from '../../src/base/ids.ts';
import { emptyRecord } from '../../src/codec/empty-record.ts';
import type { InodeRecord } from '../../src/codec/inode-record.ts';
import { decodeInode, encodeInode, inodeBytesMax } from '../../src/codec/inode-record-codec.ts';
import { Cursor, putSigned, putVarint, VARINT_MAX } from '../../src/codec/varint.ts';

const natural = fc.oneof(fc.nat(300), fc.maxSafeNat());
const seconds = fc.oneof(fc.integer(), fc.integer({ min: -(2 ** 51), max: 2 ** 51 }));
const ns = fc.integer({ min: 0, max: 999_999_999 });
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((a) => Buffer.from(a));
const binary = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((a) => Buffer.from(a).toString('latin1'));
const hex = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((a) => Buffer.from(a).toString('hex') as ObjectId);
const xattrs = fc
  .array(fc.tuple(fc.string({ maxLength: 40, unit: 'grapheme' }), bytes(100)), { maxLength: 5 })
  .map((pairs) => new Map(pairs));

const inodeRecord: fc.Arbitrary<InodeRecord> = fc
  .record({
    ino: natural.map((n) => n as Ino),
    mode: fc.nat(0xffff),
    uid: natural,
    gid: natural,
    rdev: natural,
    nlink: natural,
    size: natural,
    blocks: natural,
    atime: seconds,
    atimeNs: ns,
    mtime: seconds,
    mtimeNs: ns,
    ctime: seconds,
    ctimeNs: ns,
    data: fc.nat(3),
    object: fc.oneof(fc.constant('' as const), hex),
    target: binary(0, 400),
    flags: fc.nat(255),
    xattrs: fc.option(xattrs),
    parent: natural.map((n) => n as Ino | 0),
    name: binary(0, 255).map((n) => n as Name | ''),
    stamp: natural,
    baseCtime: seconds,
    baseCtimeNs: ns,
  })
  .map((record) => (record.parent === 0 ? { ...record, name: '' as const } : record));

describe('inode record', () => {
  it('has its fields in one order, so that V8 gives all records one shape', () => {
    const record = emptyRecord(7 as Ino);
    const buf = Buffer.alloc(inodeBytesMax(record));
    const end = encodeInode(record, buf, 0);
    expect(Object.keys(decodeInode(buf, 0, end))).toEqual(Object.keys(record));
    const changed = { ...record, mode: 1, baseCtime: 2 };
    expect(Object.keys(changed)).toEqual(Object.keys(record));
  });

  it('comes back as it went in, at any offset', () => {
    fc.assert(
      fc.property(inodeRecord, fc.nat(20), (record, at) => {
        const buf = Buffer.alloc(at + inodeBytesMax(record));
        const end = encodeInode(record, buf, at);
        expect(end).toBeLessThanOrEqual(buf.length);
        expect(decodeInode(buf.subarray(0, end), at, end)).toEqual(record);
      }),
    );
  });

  it('is refused when it is cut short, or of another version', () => {
    fc.assert(
      fc.property(inodeRecord, fc.nat(1000), (record, cut) => {
        const buf = Buffer.alloc(inodeBytesMax(record));
        const end = encodeInode(record, buf, 0);
        const short = Math.min(cut, end - 1);
        expect(() => decodeInode(buf.subarray(0, short), 0, short)).toThrow();
        buf[0] = 2;
        expect(() => decodeInode(buf, 0, end)).toThrow('version 2');
      }),
    );
  });
});

describe('varint', () => {
  it('holds every safe integer', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), seconds, (value, signed) => {
        const buf = Buffer.alloc(2 * VARINT_MAX);
        putSigned(buf, putVarint(buf, 0, value), signed);
        const from = new Cursor(buf, 0);
        expect([from.varint(), from.signed()]).toEqual([value, signed]);
      }),
    );
  });
});
