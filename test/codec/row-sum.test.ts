/** Sums of rows: any other bit is told, and a single one is put right. */
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { addSum, matchesSum, mendBit, SUM_SIZE } from '../../src/codec/row-sum.ts';
import { randomOf } from '../support/machine/random.ts';

const random = randomOf(7);
const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)));

test('the sum is the CRC-32 of key and value, whatever their lengths', () => {
  for (let length = 1; length < 100; length++) {
    const key = bytes(length);
    const row = addSum(key, Buffer.concat([bytes(100 - length), Buffer.alloc(SUM_SIZE)]));
    expect(row.readUInt32BE(row.length - SUM_SIZE)).toBe(
      crc32(row.subarray(0, -SUM_SIZE), crc32(key)),
    );
    expect(matchesSum(key, row)).toBe(true);
    expect(mendBit(key, row)).toBeNull();
  }
  expect(matchesSum(Buffer.of(1), Buffer.of(1, 2, 3))).toBe(false);
});

test('each single bit is told and put right; two are told, and nothing is made of them', () => {
  for (const [keySize, valueSize] of [
    [4, 1],
    [28, 180],
  ] as const) {
    const key = bytes(keySize);
    const row = addSum(key, Buffer.concat([bytes(valueSize), Buffer.alloc(SUM_SIZE)]));
    const bits = 8 * (key.length + row.length);
    const flipped = (...at: number[]) => {
      const whole = Buffer.concat([key, row]);
      for (const bit of at) whole[bit >> 3]! ^= 1 << (bit & 7);
      return [whole.subarray(0, keySize), whole.subarray(keySize)] as const;
    };
    for (let bit = 0; bit < bits; bit++) {
      expect(matchesSum(...flipped(bit))).toBe(false);
      const mended = mendBit(...flipped(bit));
      expect(mended?.key.equals(key)).toBe(true);
      expect(mended?.value.equals(row)).toBe(true);
      const other = (bit + 1 + random(bits - 1)) % bits;
      expect(matchesSum(...flipped(bit, other))).toBe(false);
      expect(mendBit(...flipped(bit, other))).toBeNull();
    }
  }
});
