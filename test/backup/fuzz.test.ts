/**
 * Backups that were changed in any way, with sums that are right again: each is refused with a sentence, and nothing is made of it; or it is
 * restored, as one of a damaged env is: then the env can be used, checked and destroyed, and nothing else has taken harm. FC_RUNS=500 tries more.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { Sums } from '../../src/manager/backup/trailer.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { isStack } from '../fuzz/outcome.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import type { TestRoot } from '../support/machine/root.ts';
import { CHANGE, changeableRoot, inEnv } from './changed-env.ts';
import { withOdd } from './odd-json.ts';

const RUNS = propertyRuns(15);
const TEST_MS = 120_000 + RUNS.numRuns * 5_000;
const REFUSED: ReadonlySet<number> = new Set([
  EXIT.badInput,
  EXIT.corrupt,
  EXIT.notFound,
  EXIT.usage,
]);
const BLOCK = 512;

let root: TestRoot;
let [whole, tar] = [] as unknown as [Buffer, Buffer];

beforeAll(async () => {
  root = await changeableRoot();
  await inEnv(root, 'first', CHANGE);
  const file = path.join(root.base, 'whole');
  await root.ok('backup', 'first', file, '--with-templates');
  whole = readFileSync(file);
  tar = run('zstd', ['-dcq'], whole);
});
afterAll(() => root.dispose());

function run(program: string, words: readonly string[], input: Buffer): Buffer {
  const { stdout, status } = spawnSync(program, words, { input, maxBuffer: 2 ** 26 });
  expect(status).toBe(0);
  return stdout;
}

/** Packs a tar as a backup, with sums of its own. */
function packed(content: Buffer): Buffer {
  const bytes = run('zstd', ['-q', '-1', '--check'], content);
  const sums = new Sums();
  sums.add(bytes);
  return Buffer.concat([bytes, sums.trailer()]);
}

/** A change to bytes; places are parts of their length. */
const part = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const change = fc.record({
  kind: fc.constantFrom('cut', 'remove', 'repeat', 'swap', 'insert', 'replace'),
  at: part,
  to: part,
  length: fc.nat(2000),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** @param unit places are multiples of it: members of a tar begin at blocks */
function changed(all: Buffer, { kind, at, to, length, bytes }: Change, unit: number): Buffer {
  const place = (where: number): number => Math.floor((where * all.length) / unit) * unit;
  const [a, b] = [place(at), place(to)].sort((x, y) => x - y) as [number, number];
  const size = Math.ceil((length + 1) / unit) * unit;
  const [from, end] = [all.subarray(0, a), Math.min(a + size, all.length)];
  if (kind === 'cut') return from;
  if (kind === 'remove') return Buffer.concat([from, all.subarray(end)]);
  if (kind === 'repeat') return Buffer.concat([all.subarray(0, end), all.subarray(a)]);
  if (kind === 'swap') return Buffer.concat([from, all.subarray(b), all.subarray(a, b)]);
  if (kind === 'insert') return Buffer.concat([from, bytes, all.subarray(a)]);
  return Buffer.concat([from, bytes, all.subarray(Math.min(a + bytes.length, all.length))]);
}

/** Values that a field may not have. */
const odd = fc.oneof(
  fc.constantFrom(
    null,
    -1,
    2 ** 53,
    1e300,
    '',
    '..',
    '/',
    '../../x',
    '=/etc/passwd',
    '0=/',
    '#8000000000001',
    '?1',
    [],
    {},
  ),
  fc.jsonValue({ maxDepth: 1 }),
);

/** Replaces a text file of the tar, whose length may then be another one. */
function withMember(name: string, text: (before: string) => string): Buffer {
  for (let at = 0; at < tar.length; ) {
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8) || 0;
    const end = at + BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (tar.toString('latin1', at, at + 100).replace(/\0.*$/s, '') === name) {
      const content = Buffer.from(
        text(tar.toString('utf8', at + BLOCK, at + BLOCK + size)),
        'utf8',
      );
      const head = Buffer.from(tar.subarray(at, at + BLOCK));
      head.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
      head.write('        ', 148, 'latin1');
      const sum = head.reduce((total, byte) => total + byte, 0);
      head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
      return Buffer.concat([tar.subarray(0, at), head, content, padding, tar.subarray(end)]);
    }
    at = end;
  }
  throw new Error(`no ${name}`);
}

/** Texts of lines: some moved, repeated, left out, or with another value. */
const lines = fc.array(
  fc.record({
    line: part,
    to: part,
    kind: fc.constantFrom('move', 'repeat', 'remove', 'odd'),
    where: part,
    odd,
  }),
  {
    minLength: 1,
    maxLength: 3,
  },
);

const backup = fc.oneof(
  change.map((how) => () => changed(whole, how, 1)),
  change.map((how) => () => packed(changed(tar, how, 1))),
  change.map((how) => () => packed(changed(tar, how, BLOCK))),
  fc.tuple(part, odd).map(([where, to]) => () => {
    const text = (before: string): string => JSON.stringify(withOdd(JSON.parse(before), where, to));
    return packed(withMember('backup.json', text));
  }),
  lines.map(
    (steps) => () =>
      packed(
        withMember('delta.jsonl', (before) => {
          const all = before.trimEnd().split('\n');
          for (const { line, to, kind, where, odd: value } of steps) {
            const [at, there] = [line, to].map((each) => Math.floor(each * all.length)) as [
              number,
              number,
            ];
            const text = all[at]!;
            if (kind !== 'repeat') all.splice(at, 1);
            if (kind === 'odd')
              all.splice(at, 0, JSON.stringify(withOdd(JSON.parse(text), where, value)));
            else if (kind !== 'remove') all.splice(there, 0, text);
          }
          return `${all.join('\n')}\n`;
        }),
      ),
  ),
);

test('a backup that was changed is refused, or restored as a whole env', {
  timeout: TEST_MS,
}, async () => {
  const file = path.join(root.base, 'changed');
  const outside = path.join(root.base, 'outside');
  writeFileSync(outside, 'as it was');
  let restored = 0;
  const property = fc.asyncProperty(backup, async (make) => {
    root.goesOn();
    writeFileSync(file, make());
    for (const words of [
      ['backup', 'verify', file],
      ['restore', file, 'second'],
    ]) {
      const { code, stderr } = await root.byref(...words);
      expect(isStack(stderr), stderr).toBe(false);
      expect(code === 0 || REFUSED.has(code), `${code} ${stderr}`).toBe(true);
      if (code !== 0 || words[0] !== 'restore') continue;
      restored++;
      await inEnv(root, 'second', 'find "$1" -type f -exec cat {} + >/dev/null 2>&1 || :');
      const others = (await root.findings()).filter(({ where }) => !where.includes('second'));
      expect(others).toEqual([]);
      await root.ok('destroy', 'second');
    }
    expect((await root.json<EnvSummary[]>('list')).map(({ name }) => name)).toEqual(['first']);
    expect(readdirSync(path.join(root.path, 'backup'))).toEqual([]);
    expect(readdirSync(path.join(root.path, 'envs')).filter((name) => name !== '1')).toEqual([]);
  });
  await fc.assert(property, { ...RUNS, endOnFailure: true });
  expect(readFileSync(outside, 'utf8')).toBe('as it was');
  expect(existsSync(path.join(root.base, 'x'))).toBe(false);
  if (RUNS.numRuns >= 100) console.log(`${restored} of ${RUNS.numRuns} were restored`);
});
