/** Archives with changed bytes: each is imported, or refused with a sentence, and then nothing of it is there. */
import { existsSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByrefError } from '../../src/base/error.ts';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { scratchFile } from '../support/machine/scratch-dir.ts';
import { objectFiles, scratchStore } from '../support/trees/scratch-store.ts';
import { archive, dir, file, hardLink, symlink } from '../support/trees/tar-members.ts';
import { mutated, mutation } from './mutations.ts';
import { isStack, Outcomes } from './outcome.ts';

const BLOCK = 512;
const [SUM_AT, SUM_END] = [148, 156];

const RIGHT = archive(
  dir('etc/'),
  file('etc/conf', 'x'.repeat(700)),
  file(`usr/${'long/'.repeat(40)}name`, 'y', { pax: [['SCHILY.xattr.user.a', Buffer.from('b')]] }),
  symlink('lib', 'usr/lib'),
  hardLink('etc/same', 'etc/conf'),
  file('usr/bin/tool', Buffer.alloc(3000, 7), { mode: 0o4755 }),
);

const change = mutation(
  fc
    .constantFrom(
      '../',
      '/etc/passwd\0',
      '\0',
      '77777777777\0',
      '99',
      'x',
      'g',
      'L',
      'K',
      'S',
      '1',
      '2',
      '5',
    )
    .map((text) => Buffer.from(text)),
);

/** The sums of all blocks that look like headers are right again, so that what is in them is read. */
function summedUp(tar: Buffer): Buffer {
  const bytes = Buffer.from(tar);
  for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
    const header = bytes.subarray(at, at + BLOCK);
    if (!header.includes('ustar')) continue;
    header.fill(0x20, SUM_AT, SUM_END);
    const sum = header.reduce((all, byte) => all + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, SUM_AT, 'latin1');
  }
  return bytes;
}

/** Changes of one place for another keep the blocks where they are. */
const inPlace = (source: Buffer, changes: Parameters<typeof mutated>[1]): Buffer =>
  mutated(
    source,
    changes.map((each) => ({ ...each, cut: each.put.length })),
  );

test.each([
  ['as they are', (tar: Buffer) => tar],
  ['with right sums', summedUp],
  ['compressed', (tar: Buffer) => gzipSync(tar)],
])('%s', async (_, finish) => {
  const store = await scratchStore();
  const outcomes = new Outcomes();
  let count = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (changes, isInPlace) => {
        const bytes = finish((isInPlace ? inPlace : mutated)(RIGHT, changes));
        const name = `t${count++}`;
        const before = [store.templates().length, objectFiles(store)];
        try {
          await importTemplate(store, name, scratchFile(`${name}.tar`, bytes));
          outcomes.add('told', () => '');
        } catch (error) {
          const isTold =
            error instanceof ByrefError && error.hint !== '' && !isStack(error.message);
          outcomes.add(
            isTold ? 'told' : 'wrong',
            () => `${String((error as Error).stack)}\n${JSON.stringify(changes)}`,
          );
          expect([store.templates().length, objectFiles(store)]).toEqual(before);
        }
      },
    ),
    propertyRuns(60),
  );
  expect(outcomes.bad, outcomes.text).toEqual({});
  expect(existsSync('/evil')).toBe(false);
});
