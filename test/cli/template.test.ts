import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
let source: string;

beforeEach(async () => {
  root = await TestRoot.create();
  source = root.directory('source');
  writeFileSync(path.join(source, 'one'), 'first\n');
  writeFileSync(path.join(source, 'two'), 'second\n');
});
afterEach(() => root.dispose());

interface Shown {
  readonly current: number;
  readonly envs: string[];
  readonly versions: { number: number; label: string; addedObjects: number; staged: boolean }[];
}

test('importing again adds a version, which stores what is new only', async () => {
  expect(await root.ok('template', 'import', 't', source, '--label', 'a')).toContain(
    't@1: 2 files in 1 directories, 13 B; new: 2 objects, 13 B',
  );
  writeFileSync(path.join(source, 'three'), 'third\n');
  rmSync(path.join(source, 'one'));
  await root.ok('template', 'import', 't', source, '--label', 'b');
  const shown = await root.json<Shown>('template', 'show', 't');
  expect(shown.current).toBe(1);
  expect(shown.versions).toMatchObject([
    { number: 1, label: 'a', addedObjects: 2, staged: false },
    { number: 2, label: 'b', addedObjects: 1, staged: true },
  ]);
  expect(await root.ok('template', 'diff', 't@1', 't@2')).toMatch(/D \/one\nA \/three\n$/);
});

test('an env that names a version sees that one', async () => {
  await root.ok('template', 'import', 't', source);
  writeFileSync(path.join(source, 'one'), 'changed\n');
  await root.ok('template', 'import', 't', source);
  const contents = [];
  for (const [name, os] of [
    ['follows', 't'],
    ['pinned', 't@2'],
  ] as const) {
    await root.ok('create', name, '--os', os);
    contents.push((await sh('cat "$1/one"', [await root.mount(name)])).stdout);
  }
  expect(contents).toEqual(['first\n', 'changed\n']);
});

test('app templates merge over the OS template, the last one on top', async () => {
  const [a, b] = [root.directory('a/etc'), root.directory('b/etc')];
  writeFileSync(path.join(a, 'both'), 'a\n');
  writeFileSync(path.join(a, 'of-a'), 'a\n');
  writeFileSync(path.join(b, 'both'), 'b\n');
  await root.ok('template', 'import', 't', source);
  await root.ok('template', 'import', 'a', path.dirname(a), '--kind', 'app');
  await root.ok('template', 'import', 'b', path.dirname(b), '--kind', 'app');
  await root.ok('create', 'env', '--os', 't', '--app', 'a', '--app', 'b');
  const mountpoint = await root.mount('env');
  const { stdout } = await sh('cd "$1"; cat one etc/both etc/of-a', [mountpoint]);
  expect(stdout).toBe('first\nb\na\n');
});

test('rm refuses a template in use, and frees what no other one has', async () => {
  await root.ok('template', 'import', 't', source);
  await root.ok('create', 'env', '--os', 't');
  const refused = await root.byref('template', 'rm', 't');
  expect(refused.code).toBe(EXIT.busy);
  expect(refused.stderr).toContain('env');
  await root.ok('destroy', 'env');
  expect(await root.ok('template', 'rm', 't')).toContain('freed 2 objects');
  expect(await root.json('template', 'list')).toEqual([]);
});

test('an export to a pipe whose reader is slow is whole, and one that nobody reads ends with an error', async () => {
  const big = root.directory('big');
  writeFileSync(path.join(big, 'file'), randomBytes(2 ** 21));
  await root.ok('template', 'import', 't', big);
  await root.ok('template', 'export', 't', path.join(root.base, 't.tar'));
  const slow = 'set -o pipefail; "$1" template export t - | (sleep 0.5; cmp - t.tar)';
  expect(await root.shell(slow, root.base)).toMatchObject({ code: 0, stderr: '' });
  const deaf = 'set -o pipefail; "$1" template export t - | true';
  const { code, stderr } = await root.shell(deaf, root.base);
  expect([code, stderr]).toEqual([EXIT.error, expect.stringContaining('the archive is not whole')]);
});

test('export and import again give the same tree', async () => {
  await root.ok('template', 'import', 't', source);
  const tar = path.join(root.base, 't.tar');
  await root.ok('template', 'export', 't', tar);
  await root.ok('template', 'import', 'copy', tar);
  expect(await root.ok('template', 'diff', 't', 'copy')).toBe('');
});

test('what is refused leaves the store as it was', async () => {
  const file = path.join(root.base, 'not-a-tar');
  writeFileSync(file, 'x'.repeat(2000));
  const { code, stderr } = await root.byref('template', 'import', 't', file);
  expect(code, stderr).toBe(EXIT.badInput);
  expect(await root.json('template', 'list')).toEqual([]);
});

interface Sizes {
  readonly name: string;
  readonly packages: number;
  readonly bytes: number;
  readonly storedBytes: number;
  readonly sharedBytes: number;
  readonly exclusiveBytes: number;
  readonly diskBytes: number;
}

const sizesOf = async (name: string): Promise<Sizes | undefined> =>
  (await root.json<Sizes[]>('template', 'list')).find((row) => row.name === name);

test('sizes: what is stored for a template, what of it others share, and what removing it frees', async () => {
  // Content twice in one version, the same in the next one, and some of it in another template.
  writeFileSync(path.join(source, 'again'), 'first\n');
  writeFileSync(path.join(source, 'empty'), '');
  await root.ok('template', 'import', 'a', source);
  rmSync(path.join(source, 'two'));
  writeFileSync(path.join(source, 'three'), 'third\n');
  await root.ok('template', 'import', 'a', source);
  const [one, two, three] = ['first\n', 'second\n', 'third\n'].map(({ length }) => length);
  const all = one! + two! + three!;
  expect(await sizesOf('a')).toMatchObject({
    bytes: one! * 2 + two!,
    storedBytes: all,
    sharedBytes: 0,
    exclusiveBytes: all,
  });
  await root.ok('template', 'import', 'b', source);
  expect(await sizesOf('a')).toMatchObject({
    storedBytes: all,
    sharedBytes: one! + three!,
    exclusiveBytes: two!,
  });
  const other = await sizesOf('b');
  expect(other).toMatchObject({ storedBytes: one! + three!, sharedBytes: one! + three! });
  expect(other?.diskBytes).toBeGreaterThan(0);
  const columns = [
    'template',
    'list',
    '-H',
    '-o',
    'name,versions,packages,stored,shared,exclusive',
  ];
  expect(await root.ok(...columns)).toBe(
    `a\t2\t-\t${all}\t${one! + three!}\t${two!}\nb\t1\t-\t${one! + three!}\t${one! + three!}\t0\n`,
  );
  expect(await root.json('template', 'rm', 'b')).toMatchObject({ freedBytes: 0 });
  expect(await root.json('template', 'rm', 'a')).toMatchObject({ freedBytes: all });
});

test('a template has packages, and users that follow, are pinned or try a version out', async () => {
  const dpkg = root.directory('source/var/lib/dpkg');
  const stanza = (name: string, state: string): string =>
    `Package: ${name}\nStatus: ${state}\nVersion: 1\nArchitecture: all\n`;
  const installed = 'install ok installed';
  writeFileSync(path.join(dpkg, 'status'), stanza('one', installed));
  await root.ok('template', 'import', 't', source);
  const more = [
    stanza('one', installed),
    stanza('two', installed),
    stanza('old', 'deinstall ok config-files'),
  ];
  writeFileSync(path.join(dpkg, 'status'), more.join('\n'));
  await root.ok('template', 'import', 't', source);
  await root.ok('create', 'follows', '--os', 't');
  await root.ok('create', 'tries', '--os', 't');
  await root.ok('create', 'pinned', '--os', 't@2');
  await root.ok('patch', 't', '--canary', 'tries');
  expect(await root.json('template', 'show', 't')).toMatchObject({
    envs: ['follows', 'tries', 'pinned'],
    users: [
      { env: 'follows', pinned: null, canary: null, version: 1 },
      { env: 'tries', pinned: null, canary: 2, version: 2 },
      { env: 'pinned', pinned: 2, canary: null, version: 2 },
    ],
    versions: [{ packages: 1 }, { packages: 2 }],
  });
  const shown = await root.ok('template', 'show', 't');
  expect(shown).toMatch(
    /^users: +follows \(follows\), tries \(canary of 2\), pinned \(pinned to 2\)$/m,
  );
  expect(shown).toMatch(/^packages: +1; byref template packages t lists them$/m);
  const columns = ['template', 'list', '-H', '-o', 'name,packages,envs'];
  expect(await root.ok(...columns)).toBe('t\t1\t3\n');
  // Of a damaged store, what there is can still be listed.
  await root.shell('rm -r objects/*', root.path);
  expect(await root.ok(...columns)).toBe('t\t?\t3\n');
});

test('on a terminal long notes are wrapped, and piped they are not', async () => {
  const note = 'words that go on '.repeat(20).trim();
  const source = root.directory('wrapped');
  await root.ok('template', 'import', 'wrapped', source, '--note', note);
  await root.ok('template', 'import', 'wrapped', source, '--note', 'x'.repeat(150));
  for (const verb of ['log', 'show']) {
    const { stdout } = await root.shell(
      `script -qec "stty cols 150; '$1' template ${verb} wrapped" /dev/null`,
      '/',
    );
    const lines = stdout.replaceAll('\r', '').trimEnd().split('\n');
    const table = lines.slice(lines.findIndex((line) => line.includes('NOTE')));
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(150);
    const at = table[0]!.indexOf('NOTE');
    const notes = table.slice(1).map((line) => line.slice(at));
    expect(notes.join(' ')).toContain(note);
    expect(notes.join('').replaceAll(/[^x]/g, '')).toBe('x'.repeat(150));
    // What goes on below has nothing in front.
    expect(
      table.filter((line) => /^ +\S/.test(line) && line.search(/\S/) >= at).length,
    ).toBeGreaterThan(2);
  }
  expect(await root.ok('template', 'log', 'wrapped', '-H', '-o', 'note')).toBe(
    `${'x'.repeat(150)}\n${note}\n`,
  );
});

test('an import that is done at once says nothing of its progress in a pipe', async () => {
  const { code, stderr } = await root.byref('template', 'import', 'quick', root.directory('quick'));
  expect([code, stderr]).toEqual([0, '']);
});
