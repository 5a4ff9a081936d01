import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sh, TREE } from '../support/program.ts';
import { TestRoot } from '../support/root.ts';

/** Every on-disk format ever written stays as a fixture, and stays readable. */
const FORMATS = ['root-format-1'];

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
});
afterEach(() => root.dispose());

test.each(FORMATS)('%s: the templates and the env that it holds are there', async (format) => {
  const archive = path.join(TREE, 'fixtures', `${format}.tar.gz`);
  rmSync(root.path, { recursive: true });
  const unpacked = await sh('tar -C "$1" -xzf "$2"', [path.dirname(root.path), archive]);
  expect(unpacked.code, unpacked.stderr).toBe(0);

  const changes = 'C /\nA /d\nA /d/f\nC /etc\nD /etc/gone\nC /etc/kept\nA /moved\nD /usr\n';
  expect(await root.ok('diff', 'one')).toBe(changes);
  const mountpoint = await root.mount('one');
  const seen = await sh('cd "$1"; cat etc/kept d/f moved/lib2; stat -c %h moved/lib; ls etc', [
    mountpoint,
  ]);
  expect(seen.stdout).toBe('of the template\nmore\nnew\nlib\n2\nkept\nlink\n');
});
