import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Ino, type Name, type ObjectId, PRIVATE_INO_BASE } from '../../src/base/ids.ts';
import {
  decodeTag,
  encodeTag,
  type NameTag,
  TAG_BYTES_INLINE,
  TAG_BYTES_MAX,
} from '../../src/driver/delta/name-tag.ts';

const ino = fc
  .tuple(fc.boolean(), fc.integer({ min: 1, max: 2 ** 40 }))
  .map(([own, number]) => (own ? PRIVATE_INO_BASE + number : number) as Ino);
const name = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes).toString('latin1') as Name);
const place = fc.record({ dir: ino, name });
const owner = { mode: fc.nat(0xffff), uid: fc.nat(2 ** 32 - 1), gid: fc.nat(2 ** 32 - 1) };
const object = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex') as ObjectId);
const value = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
const xattrs = fc
  .uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), value), {
    minLength: 1,
    maxLength: 4,
    selector: ([key]) => key,
  })
  .map((entries) => new Map(entries));

const tag: fc.Arbitrary<NameTag> = fc.record({
  boot: fc.nat(2 ** 32 - 1),
  sequence: fc.nat(2 ** 50),
  file: fc.record({
    ...owner,
    flags: fc.nat(255),
    object: fc.oneof(fc.constant('' as const), object),
    xattrs: fc.oneof(fc.constant(null), xattrs),
  }),
  places: fc.array(place, { maxLength: 4 }),
  dirs: fc.array(fc.record({ ino, ...owner, dir: ino, name }), { maxLength: 4 }),
  isNameless: fc.boolean(),
});

const buffer = Buffer.alloc(TAG_BYTES_MAX);

test('a tag is read as it was written, or is too long to be written', () => {
  fc.assert(
    fc.property(tag, (written) => {
      const length = encodeTag(written, buffer);
      if (length > 0) expect(decodeTag(buffer.subarray(0, length))).toEqual(written);
      else expect(written.places.length + written.dirs.length).toBeGreaterThan(1);
    }),
  );
});

test('the tag of a new file with a usual name lies in the inode', () => {
  const file = {
    mode: 0o100644,
    uid: 1000,
    gid: 1000,
    flags: 0,
    object: '',
    xattrs: null,
  } as const;
  const places = [{ dir: (PRIVATE_INO_BASE + 70_000) as Ino, name: 'x'.repeat(32) as Name }];
  const written = {
    boot: 2 ** 32 - 1,
    sequence: 10_000_000,
    file,
    places,
    dirs: [],
    isNameless: false,
  };
  expect(encodeTag(written, buffer)).toBeLessThanOrEqual(TAG_BYTES_INLINE);
});

test('what is no tag, or the beginning of one, is none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeTag(Buffer.from(bytes));
      decodeTag(Buffer.from([1, ...bytes]));
    }),
  );
  fc.assert(
    fc.property(tag, fc.double({ min: 0, max: 0.99, noNaN: true }), (written, part) => {
      const length = encodeTag(written, buffer);
      if (length > 0) expect(decodeTag(buffer.subarray(0, Math.floor(length * part)))).toBeNull();
    }),
  );
});
