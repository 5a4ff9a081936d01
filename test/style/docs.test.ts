/**
 * Documents say what is so: links and paths lead somewhere, commands and variables exist, numbers are right, and
 * the README is short.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { OPENAPI, openApiText } from '../../scripts/generate-openapi.ts';
import { REFERENCE, referenceText } from '../../scripts/generate-reference.ts';
import { parseArgv } from '../../src/cli/argv.ts';
import { loadCommand } from '../../src/cli/registry.ts';
import { findVerb, VERBS } from '../../src/cli/verbs.ts';
import { LIMITS } from '../../src/driver/fuse-native/limits.ts';
import { CHECKS } from '../../src/manager/upkeep/fsck/finding.ts';
import { TREE } from '../support/machine/program.ts';

const read = (file: string): string => readFileSync(path.join(TREE, file), 'utf8');

function filesBelow(dir: string, ending: string): string[] {
  const names = readdirSync(path.join(TREE, dir), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith(ending)).map((name) => path.join(dir, name));
}

const DECISIONS = 'docs/internals/adr';
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md'), 'bench/README.md'];
/** Records of decisions name files as they were. */
const CURRENT = DOCUMENTS.filter((file) => !file.startsWith(`${DECISIONS}/`));
const SOURCES = [...filesBelow('src', '.ts'), ...filesBelow('test', '.ts')];

/** A link of a document to a file of this tree, or to a heading of one. */
interface Link {
  readonly from: string;
  readonly to: string;
  /** Null if it leads to the whole file. */
  readonly heading: string | null;
}

const LINKS: readonly Link[] = DOCUMENTS.flatMap((from) =>
  [...read(from).matchAll(/\]\(([^)#:]*)(?:#([^)]+))?\)/g)].map(([, to = '', heading]) => ({
    from,
    to: to === '' ? from : path.join(path.dirname(from), to),
    heading: heading ?? null,
  })),
);

/** Returns the anchors of a document's headings, as GitHub makes them. */
function anchorsOf(file: string): Set<string> {
  const prose = read(file).replaceAll(/^```.*?^```/gms, '');
  const headings = [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('links between documents lead to files', () => {
  const broken = LINKS.filter(({ to }) => !existsSync(path.join(TREE, to)));
  expect(broken).toEqual([]);
});

test('links to a section lead to a heading', () => {
  const inDocuments = LINKS.filter(({ to, heading }) => heading !== null && to.endsWith('.md'));
  expect(inDocuments.length).toBeGreaterThan(10);
  expect(inDocuments.filter(({ to, heading }) => !anchorsOf(to).has(heading!))).toEqual([]);
});

test('each document can be reached from the README by links', () => {
  const reached = new Set(['README.md']);
  for (const file of reached) {
    for (const { from, to } of LINKS) if (from === file) reached.add(to);
  }
  const reachedDirs = [...reached].map((file) => `${file}/`);
  const lost = DOCUMENTS.filter(
    (file) => !reached.has(file) && !reachedDirs.some((dir) => file.startsWith(dir)),
  );
  expect(lost).toEqual([]);
});

test('paths of this tree that documents and comments name are there', () => {
  const named =
    /(?<![\w/.-])((?:src|test|scripts|native|bench|docs)\/[\w/-]+\.(?:ts|sh|cc|c|mjs|cjs|md))\b/g;
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
  const known = new Set(read('docs/reference/configuration.md').match(/BYREF_[A-Z_]+/g));
  const readBySources = [...filesBelow('src', '.ts'), 'native/holder.cc'].flatMap((file) =>
    [...read(file).matchAll(/(?:process\.env(?:\.|\[')|[a-z]\(")(BYREF_[A-Z_]+)/g)].map(
      ([, name]) => name!,
    ),
  );
  expect(readBySources.length).toBeGreaterThan(0);
  expect([...new Set(readBySources)].filter((name) => !known.has(name))).toEqual([]);
});

test('the reference of verbs is what the commands say of themselves', async () => {
  expect(read(REFERENCE), 'run: npm run docs:reference').toBe(await referenceText());
  expect(read(OPENAPI), 'run: npm run docs:reference').toBe(await openApiText());
});

/** Returns the command lines of byref in a document's shell examples, as words. */
function examples(file: string): string[][] {
  const scripts = [...read(file).matchAll(/^```sh\n(.*?)^```/gms)].map(([, script]) => script!);
  const lines = scripts.flatMap((script) => [...script.matchAll(/^byref ([^#;|\n]+)/gm)]);
  return lines.map(([, line]) => line!.split(' -- ')[0]!.trim().split(/\s+/));
}

test('the commands of the examples exist, with their options', async () => {
  const unknown: string[] = [];
  let seen = 0;
  for (const file of CURRENT) {
    for (const words of examples(file)) {
      const { verb, rest } = parseArgv(words);
      const found = findVerb(verb);
      const command = found && (await loadCommand(found.name));
      const known = command?.options.map(({ long }) => long) ?? [];
      const wrong = rest.map((word) => word.split('=')[0]!).filter(isLongOption);
      if (!command || wrong.some((option) => !known.includes(option))) {
        unknown.push(`${file}: byref ${words.join(' ')}`);
      }
      seen++;
    }
  }
  expect(seen).toBeGreaterThan(50);
  expect(unknown).toEqual([]);
});

const isLongOption = (word: string): boolean => /^--[a-z]/.test(word);

/** Numbers that documents quote: each pattern's group is compared with what is counted. */
const COUNTS: readonly (readonly [file: string, quoted: RegExp, count: number])[] = [
  ['README.md', /\[(\w+) decisions\]/, filesBelow(DECISIONS, '.md').length],
  ['docs/SEMANTICS.md', /fuse-native` (\w+) more things differ/, LIMITS.length],
  ['docs/internals/FSCK.md', /makes (\w+) checks/, CHECKS.length],
];

for (const [file, quoted, count] of COUNTS) {
  test(`${file} counts right: ${quoted.source}`, () => {
    const [, number = ''] = quoted.exec(read(file)) ?? [];
    expect(number).toBe(String(count));
  });
}

test('the glossary names types that are exported', () => {
  const text = read('docs/internals/ARCHITECTURE.md');
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

test('each verb has a value of --json that is described, and a type', () => {
  const [, table = ''] = read('docs/reference/json.md').split('\n## Values\n');
  const cells = [...table.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell]) => cell!);
  const described = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, at]) => at!));
  const body = read('src/services/results.ts').split('export interface Results {')[1] ?? '';
  const typed = [...body.matchAll(/^ {2}readonly '?([^':]+)'?:/gm)].map(([, verb]) => verb!);
  expect(typed).toEqual(described);
  // What these print is not byref's, or not for people.
  const others = ['completion', 'console', 'daemon', 'events', 'exec', 'enter', 'logs', 'receive'];
  const verbs = VERBS.map(({ name }) => name).filter((name) => !others.includes(name));
  expect(typed.filter((verb) => !verb.includes('--')).sort()).toEqual(verbs.sort());
});

test('the map of the filesystem names each of its files', () => {
  const core = 'src/driver/core';
  const map = read(`${core}/README.md`);
  const named = [...map.matchAll(/^\| [^|]+ \| (.*) \|$/gm)].flatMap(([, files]) =>
    [...files!.matchAll(/`([\w-]+\.ts)`/g)].map(([, file]) => file!),
  );
  const there = readdirSync(path.join(TREE, core)).filter((name) => name.endsWith('.ts'));
  const contracts = ['api.ts', 'ports.ts'];
  expect(named.sort()).toEqual(there.filter((name) => !contracts.includes(name)).sort());
});

test('the README can be read in a minute', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(100);
});
