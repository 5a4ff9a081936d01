import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/program.ts';
import { TestRoot } from '../support/root.ts';

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
