/** Documents say what is so: links and paths lead somewhere, variables are described, and the README is short. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { TREE } from '../support/machine/program.ts';

const read = (file: string): string => readFileSync(path.join(TREE, file), 'utf8');

function filesBelow(dir: string, ending: string): string[] {
  const names = readdirSync(path.join(TREE, dir), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith(ending)).map((name) => path.join(dir, name));
}

const DOCUMENTS = ['README.md', ...filesBelow('docs', '.md'), 'bench/README.md'];
/** Records of decisions name files as they were. */
const CURRENT = DOCUMENTS.filter((file) => !file.startsWith('docs/adr/'));
const SOURCES = [...filesBelow('src', '.ts'), ...filesBelow('test', '.ts')];

test('links between documents lead to files', () => {
  const broken = DOCUMENTS.flatMap((file) =>
    [...read(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, to]) => path.join(path.dirname(file), to!))
      .filter((to) => !existsSync(path.join(TREE, to)))
      .map((to) => `${file}: ${to}`),
  );
  expect(broken).toEqual([]);
});

test('paths of this tree that documents and comments name are there', () => {
  const named =
    /(?<![\w/.-])((?:src|test|scripts|native|bench)\/[\w/-]+\.(?:ts|sh|cc|c|mjs|cjs))\b/g;
  const lost = [...CURRENT, ...SOURCES].flatMap((file) =>
    [...read(file).matchAll(named)]
      .map(([, at]) => at!)
      .filter((at) => !existsSync(path.join(TREE, at)))
      .map((at) => `${file}: ${at}`),
  );
  expect(lost).toEqual([]);
});

test('paths below src/ that documents name without it are there', () => {
  const folders = readdirSync(path.join(TREE, 'src'));
  const named = new RegExp(`\`((?:${folders.join('|')})/[\\w/-]+\\.ts)\``, 'g');
  const lost = CURRENT.flatMap((file) =>
    [...read(file).matchAll(named)]
      .filter(([, at]) => !existsSync(path.join(TREE, 'src', at!)))
      .map(([, at]) => `${file}: ${at!}`),
  );
  expect(lost).toEqual([]);
});

test('each variable that the program reads is described', () => {
  const known = new Set(read('docs/CLI.md').match(/BYREF_[A-Z_]+/g));
  const readBySources = filesBelow('src', '.ts').flatMap((file) =>
    [...read(file).matchAll(/process\.env(?:\.|\[')(BYREF_[A-Z_]+)/g)].map(([, name]) => name!),
  );
  expect(readBySources.length).toBeGreaterThan(0);
  expect([...new Set(readBySources)].filter((name) => !known.has(name))).toEqual([]);
});

test('the glossary names types that are exported', () => {
  const text = read('docs/ARCHITECTURE.md');
  const words = text.slice(text.indexOf('## Words'), text.indexOf('## Two halves'));
  const named = words
    .split('\n')
    .flatMap((line) => [...(line.split('|')[3] ?? '').matchAll(/`(\w+)`/g)]);
  const sources = filesBelow('src', '.ts').map(read).join('\n');
  const isExported = (name: string): boolean =>
    new RegExp(`export (?:abstract )?(?:class|interface|type) ${name}\\b`).test(sources);
  expect(named.length).toBeGreaterThan(10);
  expect(named.map(([, name]) => name!).filter((name) => !isExported(name))).toEqual([]);
});

test('the README can be read in a minute', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(100);
});
