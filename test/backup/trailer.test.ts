import { expect, test } from 'vitest';
import { ByrefError } from '../../src/base/error.ts';
import { readTrailer, Sums, sumOf } from '../../src/manager/backup/trailer.ts';

const CONTENT = Buffer.from('what a backup holds');

function packed(): Buffer {
  const sums = new Sums();
  sums.add(CONTENT);
  return Buffer.concat([CONTENT, sums.trailer()]);
}

const read = (file: Buffer) =>
  readTrailer('x.backup', file.length, (at, length) => file.subarray(at, at + length));

test('the end of a backup says how much comes before it, and its sums', () => {
  expect(read(packed())).toEqual({ bytes: CONTENT.length, sha256: [sumOf(CONTENT)] });
});

test('each bit of it counts', () => {
  for (let at = CONTENT.length; at < packed().length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const file = packed();
      file[at]! ^= 1 << bit;
      // The sum itself is compared with that of the content.
      const sums = (): readonly string[] => {
        const { sha256 } = read(file);
        if (sha256[0] === sumOf(CONTENT)) return sha256;
        throw new ByrefError('corrupt', 'another sum', 'None.');
      };
      expect(sums, `bit ${bit} of byte ${at}`).toThrow(ByrefError);
    }
  }
});
