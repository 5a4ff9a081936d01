/** Arguments that no one should give, each answered with a sentence. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT, type ExitName } from '../../src/base/exit-codes.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;

beforeAll(async () => {
  root = await TestRoot.create();
  await root.import('t', root.directory('source'));
  await root.create('one', 't');
});
afterAll(() => root.dispose());

const LONG = 'x'.repeat(5000);

const CASES: readonly (readonly [words: readonly string[], code: ExitName])[] = [
  [['info', ''], 'notFound'],
  [['template', 'show', ''], 'notFound'],
  [['template', 'show', 't@99999999999999999999'], 'notFound'],
  [['create', 'x', '--os', `${LONG}@1`], 'notFound'],
  [['create', '', '--os', 't'], 'usage'],
  [['create', 'x', '--os', 't', '--count', '99999999999'], 'usage'],
  [['history', LONG], 'notFound'],
  [['history', '--show', '99999999999999999999'], 'notFound'],
  [['history', '--show', '1e3'], 'notFound'],
  [['completion', '__proto__'], 'usage'],
  [['set', 'one', '__proto__=1'], 'usage'],
  [['mount', 'one', '-o', '__proto__'], 'usage'],
  [['mount', 'one', '--at', LONG], 'badInput'],
  [['gc', '--wait', '9'.repeat(400)], 'usage'],
  [['template', 'import', 't', LONG], 'badInput'],
];

test.each(
  CASES.map(
    ([words, code]) => [words.map((each) => each.slice(0, 30)).join(' '), words, code] as const,
  ),
)('byref %s ends with a sentence', async (_, words, code) => {
  const { code: got, stderr } = await root.byref(...words);
  expect(`${got} ${stderr}`).toMatch(new RegExp(`^${EXIT[code]} byref: `));
  expect(stderr).toContain('  hint: ');
  expect(stderr).not.toMatch(/bug in byref|^ {4}at /m);
});

test('control characters in arguments are escaped in messages', async () => {
  const harmful = '\x1b]0;title\x07\r\x9b31m\u202eabc\nnext';
  const cases = [
    ['info', harmful],
    ['list', `--${harmful}`],
    ['set', 'one', harmful],
    ['template', 'export', 't', `/none/${harmful}`],
    ['create', 'x', '--os', 't', '--from-config', harmful],
    ['info', harmful, '--json'],
  ];
  for (const words of cases) {
    const { code, stderr } = await root.byref(...words);
    expect(code, stderr).not.toBe(EXIT.ok);
    expect(stderr).toMatch(/^byref: |^\{"error":/);
    expect(stderr, JSON.stringify(stderr)).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  }
});
