/** Names come from envs, whose programs choose them: none of them does anything to a terminal, or makes a second line. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bytesOfText, textOfBytes } from '../../src/base/text-bytes.ts';
import { visible, visibleContent } from '../../src/base/visible.ts';
import type { StaleFile } from '../../src/manager/rollout/stale.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';
import { BYREF, run } from '../support/machine/program.ts';

/** As bytes, one char each: what ends lines, moves the cursor, sets titles, turns text around, or is no text. */
const HOSTILE = [
  'new\nline',
  'esc\x1b]0;owned\x07\x1b[2J',
  'del\x7f',
  'csi\xc2\x9b31m',
  'bidi\xe2\x80\xaegpj.exe',
  'separator\xe2\x80\xa8',
  'bad\xff\x9b',
  'half\xe2\x80',
  'tab\there',
  'back\\slash',
  'cr\rover',
];
const SHOWN = [
  String.raw`new\nline`,
  String.raw`esc\033]0;owned\a\033[2J`,
  String.raw`del\177`,
  String.raw`csi\302\23331m`,
  String.raw`bidi\342\200\256gpj.exe`,
  String.raw`separator\342\200\250`,
  String.raw`bad\377\233`,
  String.raw`half\342\200`,
  String.raw`tab\there`,
  String.raw`back\\slash`,
  String.raw`cr\rover`,
];

/** What no output has, but for the ends of lines and, in tables, between fields. */
const HARMFUL = /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\ufffd]/u;

const WITHIN = { timeout: 10_000, interval: 50 };

let t: PatchRoot;

const latin = (text: string): Buffer => Buffer.from(text, 'latin1');

beforeAll(async () => {
  t = await PatchRoot.create();
  const tree = t.root.directory('tree');
  mkdirSync(path.join(tree, 'etc'));
  for (const name of HOSTILE) writeFileSync(latin(`${tree}/etc/${name}`), 'old\n');
  await t.root.ok('template', 'import', 't', tree, '--label', 'one\x1b[31m', '--note', 'a\nb\x1b');
  await t.envs('a');
  // It holds an old file open, and has a name of its own choice.
  const script = `
    cp /bin/sleep "$2/$(printf 'z\\033[2J')"
    cd "$1"; exec 7<etc/new?line; exec "$2/$(printf 'z\\033[2J')" 100`;
  const child = t.root.background(script, t.mount('a'), t.root.base);
  await vi.waitFor(async () => {
    expect((await run('cat', [`/proc/${child.pid}/comm`])).stdout).toBe('z\x1b[2J\n');
  }, WITHIN);
  // All but what is held open.
  await t.out('a', 'for f in etc/[!n]*; do echo own >"$f"; done');
  await t.out('a', `ln -s "$(printf 'x\\033[2J')" "etc/$(printf 'link\\033')"`);
  const next = t.root.directory('next');
  mkdirSync(path.join(next, 'etc'));
  for (const name of HOSTILE) writeFileSync(latin(`${next}/etc/${name}`), 'new\x1b[2J\t\\\n');
  await t.root.ok('template', 'import', 't', next, '--note', 'c\u202ed');
});
afterAll(() => t.dispose());

test('whatever text it is, one line is shown, which can be turned back into its bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.string({ unit: 'binary' }), (bytes, text) => {
      for (const each of [textOfBytes(Buffer.from(bytes)), text]) {
        expect(visible(each)).not.toMatch(/\p{Cc}/u);
        expect(visible(each)).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        expect(visibleContent(each)).not.toMatch(/[^\P{Cc}\t]/u);
        expect(backToBytes(visible(each))).toEqual(bytesOfText(each));
      }
      expect(bytesOfText(textOfBytes(Buffer.from(bytes)))).toEqual(Buffer.from(bytes));
    }),
  );
  expect(HOSTILE.map((name) => visible(textOfBytes(latin(name))))).toEqual(SHOWN);
});

/** As `printf %b` does. */
function backToBytes(shown: string): Buffer {
  const letters: Record<string, string> = {
    ...{ a: '\x07', b: '\b', t: '\t', n: '\n', v: '\v', f: '\f', r: '\r', '\\': '\\' },
  };
  const parts = shown.split(/(\\(?:[0-7]{3}|.))/);
  return Buffer.concat(
    parts.map((part) => {
      if (!part.startsWith('\\')) return bytesOfText(part);
      const code = part.slice(1);
      return latin(letters[code] ?? String.fromCharCode(Number.parseInt(code, 8)));
    }),
  );
}

test('no command prints a name as it is: one name, one line', async () => {
  const diff = await t.root.ok('diff', 'a');
  expect(diff.split('\n').filter((line) => line.startsWith('C /etc/'))).toEqual(
    SHOWN.slice(1)
      .map((name) => `C /etc/${name}`)
      .sort((a, b) => (a < b ? -1 : 1)),
  );
  expect(diff).toMatch(/^A \/etc\/link\\033$/m);
  const odd = 'x\x1b[2J\ny\u202e';
  const said = [
    diff,
    await all('template', 'diff', 't', '--content'),
    await all('template', 'log', 't'),
    await all('template', 'show', 't'),
    await all('template', 'which', 'a', '/etc/new\nline'),
    await all('patch', 't', '--check', '--take', '/etc/*'),
    await all('patch', 't', '--take', '/etc/*', '--note', odd),
    await all('saved', 'list', 'a'),
    await all('history'),
    await all('history', '--show', '1'),
    await all('stale'),
    await all('info', odd),
    await all('list', '-o', odd),
    await all(odd),
    await all('template', 'import', 't', `/nowhere/${odd}`),
    await all('umount', 'a'),
    await all('saved', 'rm', 'a', '--all'),
    await all('template', 'capture', 'app', '--from-env', 'a', '--dry-run', '--verbose'),
  ];
  for (const each of said) {
    expect(each.length).toBeGreaterThan(10);
    expect(each).not.toMatch(HARMFUL);
  }
  expect(said.join('')).toContain(String.raw`z\033[2J`);
  writeFileSync(latin(`${t.root.path}/objects/left\x1b[2J\nover`), '');
  expect(await all('fsck', '--full')).not.toMatch(HARMFUL);
});

async function all(...args: string[]): Promise<string> {
  const { stdout, stderr } = await t.root.byref(...args);
  return stdout + stderr;
}

test('-z and --json have names whole; --json is harmless, too', async () => {
  const paths = async (...args: string[]): Promise<string[]> => {
    const { stdout } = await run(
      'sh',
      ['-c', '"$@" | od -An -v -tx1 | tr -d " \\n"', 'sh', BYREF, ...args],
      { env: t.root.env },
    );
    return Buffer.from(stdout, 'hex').toString('latin1').split('\0').slice(0, -1);
  };
  expect(await paths('diff', 'a', '-z')).toContain('A /etc/link\x1b');
  const differences = (await paths('template', 'diff', 't', '1', '2', '-z')).sort();
  expect(differences).toEqual(HOSTILE.map((name) => `C /etc/${name}`).sort());
  expect((await paths('stale', '-z', '-o', 'program,path')).slice(0, 2)).toEqual([
    'z\x1b[2J',
    '/etc/new\nline',
  ]);
  const text = await t.root.ok('template', 'diff', 't', '1', '2', '--json');
  expect(text).not.toMatch(HARMFUL);
  const json = JSON.parse(text) as { path: string }[];
  expect(json.map((each) => bytesOfText(each.path).toString('latin1')).sort()).toEqual(
    HOSTILE.map((name) => `/etc/${name}`).sort(),
  );
  const [stale] = await t.root.json<StaleFile[]>('stale');
  expect(stale?.program).toBe('z\x1b[2J');
});

test('on a real terminal nothing but lines arrives', async () => {
  for (const args of [
    'diff a',
    'stale',
    'template diff t 1 2 --content',
    'patch t --check',
    'info "$ODD"',
  ]) {
    const { stdout } = await run('script', ['-qec', `${BYREF} ${args}`, '/dev/null'], {
      env: { ...t.root.env, ODD: '\x1b]0;owned\x07' },
    });
    expect(stdout).toMatch(/\r\n$/);
    expect(stdout.replaceAll('\r\n', '\n')).not.toMatch(HARMFUL);
  }
});
