import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeKeyed } from '../../src/manager/merge/merge.ts';
import { keysOf, model, recordsOf, SAMPLES, SETS, write } from './contents.ts';

const KEYS = 8;
const bytes = fc
  .uint8Array({ maxLength: 200 })
  .map((chosen) => Buffer.from(chosen).toString('latin1'));
/** Bytes that the formats care for, so that random content is often nearly valid. */
const text = fc
  .array(fc.constantFrom('\n', '\n\n', ':', ',', 'a', 'b:', ' ', '/x', 'Name: q', 'auto\n', '1'), {
    maxLength: 30,
  })
  .map((parts) => parts.join(''));
const content = fc.option(fc.oneof(bytes, text));

describe.each([...SAMPLES, ...SETS])('$format.name', (sample) => {
  const { format } = sample;

  it('a side that changed nothing leaves the other as it is, byte by byte', () => {
    fc.assert(
      fc.property(content, content, (base, other) => {
        const is = { content: other, conflicts: [] };
        expect(mergeKeyed(format, { base, ours: other, theirs: base })).toEqual(is);
        expect(mergeKeyed(format, { base, ours: base, theirs: other })).toEqual(is);
        expect(mergeKeyed(format, { base, ours: other, theirs: other })).toEqual(is);
      }),
    );
  });

  it('what is parsed is rendered, and parsed the same', () => {
    fc.assert(
      fc.property(fc.oneof(bytes, text), (any) => {
        const records = format.parse(any);
        if (records !== null) expect(format.parse(format.render(records))).toEqual(records);
      }),
    );
  });

  it('additions of both are all in, whichever comes first', () => {
    fc.assert(
      fc.property(model(KEYS), model(KEYS), model(KEYS), (b, a, c) => {
        const shift = (of: ReadonlyMap<number, number>, by: number) =>
          new Map([...b, ...[...of].map(([n, v]) => [n + by, v] as const)]);
        const [base, ours, theirs] = [b, shift(a, KEYS), shift(c, 2 * KEYS)].map((of) =>
          write(sample, of),
        );
        const one = mergeKeyed(format, { base: base!, ours: ours!, theirs: theirs! });
        const two = mergeKeyed(format, { base: base!, ours: theirs!, theirs: ours! });
        expect(one.conflicts).toEqual([]);
        expect(two.conflicts).toEqual([]);
        const all = write(sample, new Map([...shift(a, KEYS), ...shift(c, 2 * KEYS)]));
        expect(keysOf(format, one.content)).toEqual(keysOf(format, all));
        expect(keysOf(format, two.content)).toEqual(keysOf(format, all));
      }),
    );
  });

  it('no record is lost unless a side removed or changed it', () => {
    fc.assert(
      fc.property(content, content, content, (base, ours, theirs) => {
        const merged = mergeKeyed(format, { base, ours, theirs });
        if (merged.conflicts.length > 0) return;
        const parse = (side: string | null) => (side === null ? [] : format.parse(side));
        const [b, o, t, m] = [base, ours, theirs, merged.content].map(parse);
        if (!b || !o || !t || !m) return;
        const keys = (of: typeof b) => new Set(of.map(({ key }) => key));
        for (const key of keys([...o, ...t])) {
          const removed = keys(b).has(key) && !(keys(o).has(key) && keys(t).has(key));
          if (!removed && !keys(m).has(key)) expect(merged.content).toContain(key);
        }
      }),
    );
  });
});

describe.each(SAMPLES)('$format.name', (sample) => {
  const { format } = sample;

  it('follows the rule for each key, and a conflict leaves the side that was asked for', () => {
    const side = model(KEYS);
    fc.assert(
      fc.property(side, side, side, fc.constantFrom('ours', 'theirs'), (b, o, t, prefer) => {
        const [base, ours, theirs] = [b, o, t].map((of) => write(sample, of));
        const merged = mergeKeyed(format, { base: base!, ours: ours!, theirs: theirs!, prefer });
        const expected = new Map<number, number>();
        let conflicts = 0;
        for (const n of new Set([...o.keys(), ...t.keys()])) {
          const [old, mine, other] = [b.get(n), o.get(n), t.get(n)];
          const free = mine === other || old === mine || old === other;
          if (!free) conflicts++;
          const preferred = prefer === 'ours' ? mine : other;
          const value = free ? (old === mine ? other : mine) : preferred;
          if (value !== undefined) expected.set(n, value);
        }
        expect(merged.conflicts).toHaveLength(conflicts);
        const sorted = (text: string | null) =>
          recordsOf(format, text).sort((x, y) => (x.key < y.key ? -1 : 1));
        expect(sorted(merged.content)).toEqual(sorted(write(sample, expected)));
      }),
    );
  });
});
