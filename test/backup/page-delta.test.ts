import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BaseImages, decodeImages, encodeImages } from '../../src/manager/moves/page-delta.ts';
import { scratchDir } from '../support/machine/scratch-dir.ts';

const PAGE = 4096;

/** Files of few kinds of pages, so that many are the same; the last page may be cut. */
const images = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,3}-[0-9]\.img$/),
  fc.record({
    pages: fc.array(fc.nat(5), { maxLength: 12 }),
    rest: fc.nat(PAGE - 1),
  }),
  { maxKeys: 4 },
);

type Images = Record<string, { readonly pages: readonly number[]; readonly rest: number }>;

function write(directory: string, files: Images): void {
  mkdirSync(directory);
  for (const [name, { pages, rest }] of Object.entries(files)) {
    const whole = pages.map((kind) => Buffer.alloc(PAGE, kind));
    writeFileSync(path.join(directory, name), Buffer.concat([...whole, Buffer.alloc(rest, 7)]));
  }
}

const contents = (directory: string): (readonly [string, string])[] =>
  readdirSync(directory)
    .sort()
    .map((name) => [name, readFileSync(path.join(directory, name), 'latin1')] as const);

/** In pieces of any size. */
async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('what comes out is what went in, whatever the other side had', async () => {
  await fc.assert(
    fc.asyncProperty(
      images,
      images,
      fc.boolean(),
      fc.integer({ min: 1, max: 9000 }),
      async (...drawn) => {
        const [before, now, hasBase, size] = drawn;
        const base = scratchDir();
        write(path.join(base, 'before'), before);
        write(path.join(base, 'now'), now);
        const former = hasBase ? path.join(base, 'before') : null;
        const stream = Buffer.concat([
          ...encodeImages(path.join(base, 'now'), new BaseImages(former)),
        ]);
        await decodeImages(cut(stream, size), path.join(base, 'there'), former);
        expect(contents(path.join(base, 'there'))).toEqual(contents(path.join(base, 'now')));
      },
    ),
    { numRuns: 60 },
  );
});

test('pages that are there already are not sent, even when they have moved', async () => {
  const base = scratchDir();
  const page = (n: number): Buffer => Buffer.alloc(PAGE, `page ${n}`);
  const all = Array.from({ length: 100 }, (_, n) => page(n));
  mkdirSync(path.join(base, 'before'));
  mkdirSync(path.join(base, 'now'));
  writeFileSync(path.join(base, 'before/pages-1.img'), Buffer.concat(all));
  writeFileSync(path.join(base, 'now/pages-2.img'), Buffer.concat([page(1000), ...all]));
  const stream = Buffer.concat([
    ...encodeImages(path.join(base, 'now'), new BaseImages(path.join(base, 'before'))),
  ]);
  expect(stream.length).toBeLessThan(PAGE + 100);
  await decodeImages(cut(stream, 100), path.join(base, 'there'), path.join(base, 'before'));
  expect(contents(path.join(base, 'there'))).toEqual(contents(path.join(base, 'now')));
});

test('what is no such stream is refused, and writes nothing outside', async () => {
  const base = scratchDir();
  mkdirSync(path.join(base, 'now'));
  writeFileSync(path.join(base, 'now/a.img'), 'content');
  const stream = Buffer.concat([...encodeImages(path.join(base, 'now'), new BaseImages(null))]);
  const named = (name: string): Buffer => {
    const head = Buffer.from(`\x01\0\0${name}`, 'latin1');
    head.writeUInt16LE(name.length, 1);
    return Buffer.concat([head, Buffer.of(0)]);
  };
  const former = Buffer.concat([
    named('a').subarray(0, -1),
    Buffer.of(3),
    Buffer.alloc(16),
    Buffer.of(0),
  ]);
  const cases = [
    ...Array.from({ length: stream.length }, (_, length) => stream.subarray(0, length)),
    Buffer.concat([stream, Buffer.of(0)]),
    ...['../a', '.', '..', '', 'a/b', 'a\0b'].map(named),
    Buffer.concat([named('a').subarray(0, -1), named('a')]),
    former,
    Buffer.of(9),
  ];
  for (const [i, bytes] of cases.entries()) {
    const there = path.join(base, `there-${i}`);
    await expect(decodeImages(cut(bytes, 1000), there, null)).rejects.toMatchObject({
      code: 'badInput',
    });
  }
  expect(readdirSync(base).filter((name) => !/^(?:now|there-\d+)$/.test(name))).toEqual([]);
});
