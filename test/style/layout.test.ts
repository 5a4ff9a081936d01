/** The layout of src/ (scripts/layout.cjs): what its lists name is there, they leave nothing out, and no folders import each other in a circle. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { expect, test } from 'vitest';
import { TREE } from '../support/machine/program.ts';

const require = createRequire(import.meta.url);
const { MAY_IMPORT } = require('../../scripts/layout.cjs') as {
  MAY_IMPORT: Readonly<Record<string, readonly string[]>>;
};
interface Rule {
  readonly name: string;
  readonly from: { readonly path: string };
  readonly to: { readonly path: string; readonly pathNot: readonly string[] };
}
const { forbidden } = require('../../.dependency-cruiser.cjs') as { forbidden: readonly Rule[] };

const SRC = path.join(TREE, 'src');
const FOLDERS = Object.keys(MAY_IMPORT);

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

/** The folder of MAY_IMPORT that a file is in; undefined if none is. */
const folderOf = (file: string): string | undefined =>
  FOLDERS.find((folder) => file.startsWith(`${folder}/`));

/** Paths below src/ of what a file imports, types too. */
function importsOf(file: string): string[] {
  const text = readFileSync(path.join(SRC, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+\.ts)'/g)].map(([, to]) =>
    path.normalize(path.join(path.dirname(file), to!)),
  );
}

test('what the lists name is there', () => {
  const named = new Set([...FOLDERS, ...Object.values(MAY_IMPORT).flat()]);
  expect([...named].filter((name) => !existsSync(path.join(SRC, name)))).toEqual([]);
});

test('each file is in a folder that has a list', () => {
  expect(files.filter((file) => folderOf(file) === undefined)).toEqual([]);
});

test('no folders import each other in a circle', () => {
  const imported = new Map(FOLDERS.map((folder) => [folder, new Set<string>()]));
  for (const file of files) {
    for (const to of importsOf(file)) {
      const [from, of] = [folderOf(file)!, folderOf(to)!];
      if (from !== of) imported.get(from)!.add(of);
    }
  }
  const done = new Set<string>();
  const visit = (folder: string, way: readonly string[]): void => {
    expect(way, [...way, folder].join(' -> ')).not.toContain(folder);
    if (done.has(folder)) return;
    for (const next of imported.get(folder)!) visit(next, [...way, folder]);
    done.add(folder);
  };
  for (const folder of FOLDERS) visit(folder, []);
  expect(imported.get('cli')!.size).toBeGreaterThan(0);
});

test('a rule forbids what a list does not name', () => {
  const lists = forbidden.filter(({ name }) => name.endsWith('-imports-only-what-is-listed'));
  const breaks = (from: string, to: string): boolean =>
    lists.some(({ from: of, to: { path: at, pathNot } }) => {
      const isOf = new RegExp(of.path).test(from);
      return isOf && new RegExp(at).test(to) && !pathNot.some((each) => new RegExp(each).test(to));
    });
  expect(breaks('src/driver/core/flip.ts', 'src/manager/rollout/run.ts')).toBe(true);
  expect(breaks('src/driver/core/flip.ts', 'src/store/store.ts')).toBe(true);
  expect(breaks('src/store/store.ts', 'src/driver/core/flip.ts')).toBe(true);
  expect(breaks('src/store/store.ts', 'src/driver/core/ports.ts')).toBe(false);
});
