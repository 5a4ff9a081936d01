/** Damages a root at random: the same seed does the same. */
import {
  appendFileSync,
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import path from 'node:path';
import {
  BRANCH,
  FLAGS_AT,
  HEADER,
  LEAF,
  META_PAGES,
  newestMeta,
  OVERFLOW,
} from '../../src/base/lmdb-format.ts';
import { LmdbSnapshot } from '../../src/base/lmdb-snapshot.ts';
import { TABLES } from '../../src/store/tables.ts';
import { randomOf } from '../support/machine/random.ts';
import { overwrite, PAGE } from './pages.ts';

type Random = (below: number) => number;
type Harm = (file: string, random: Random) => void;

/** In place, so that only the bytes differ. */
function bits(file: string, random: Random): void {
  const whole = readFileSync(file);
  for (let left = 1 + random(8); left > 0 && whole.length > 0; left--) {
    const at = random(whole.length);
    overwrite(file, at, Buffer.of(readFileSync(file)[at]! ^ (1 << random(8))));
  }
}

function pages(file: string, random: Random): void {
  const count = Math.max(1, Math.floor(statSync(file).size / PAGE));
  const at = random(count) * PAGE;
  const other = random(count) * PAGE;
  const junk = Buffer.from(Array.from({ length: PAGE }, () => random(256)));
  const whole = readFileSync(file);
  const bytes = [Buffer.alloc(PAGE), junk, whole.subarray(other, other + PAGE)][random(3)]!;
  overwrite(file, at, bytes.subarray(0, Math.max(0, whole.length - at)));
}

function length(file: string, random: Random): void {
  const { size } = statSync(file);
  const lengths = [0, random(size + 1), Math.floor(random(size + 1) / PAGE) * PAGE];
  truncateSync(file, lengths[random(lengths.length)]);
}

function structure(file: string, random: Random): void {
  const whole = readFileSync(file);
  const how = random(4);
  if (how === 0) rmSync(file);
  else if (how === 1) appendFileSync(file, whole.subarray(0, 1 + random(whole.length + 1)));
  else if (how === 2) {
    rmSync(file);
    mkdirSync(file);
  } else rmSync(path.dirname(file), { recursive: true });
}

/** Bits of rows: most of a file of tables is free, and means nothing. */
function rows(file: string, random: Random): void {
  if (path.basename(file) !== 'data.mdb') {
    bits(file, random);
    return;
  }
  const found: Buffer[] = [];
  const snapshot = LmdbSnapshot.take(file, Infinity)!;
  for (const name of [...TABLES, ...LINK_TABLES])
    for (const row of snapshot.database(name).range()) found.push(row.key, row.value);
  for (let left = 1 + random(3); left > 0; left--) {
    const bytes = found[random(found.length)]!;
    const at = random(bytes.length);
    overwrite(
      file,
      bytes.byteOffset - snapshot.memory.byteOffset + at,
      Buffer.of(bytes[at]! ^ (1 << random(8))),
    );
  }
}

/** The tables of an env whose rows have sums. */
const LINK_TABLES = ['names', 'inodes'];

/** Bits by which LMDB finds its way: of meta pages, the list of free pages, branches, and pages of long data. */
function ways(file: string, random: Random): void {
  if (path.basename(file) !== 'data.mdb') {
    bits(file, random);
    return;
  }
  const whole = readFileSync(file);
  const all = Array.from({ length: Math.floor(whole.length / PAGE) }, (_, page) => page);
  const isOf = (page: number, kinds: number): boolean =>
    page >= META_PAGES && (whole.readUInt16LE(page * PAGE + FLAGS_AT) & kinds) !== 0;
  const kinds = [
    all.slice(0, META_PAGES),
    [freeRoot(file)],
    all.filter((page) => isOf(page, BRANCH)),
    all.filter((page) => isOf(page, OVERFLOW)),
    all.filter((page) => isOf(page, LEAF)),
  ].filter(({ length: count }) => count > 0);
  const pagesOfKind = kinds[random(kinds.length)]!;
  const start = pagesOfKind[random(pagesOfKind.length)]! * PAGE;
  for (let left = 1 + random(3); left > 0; left--) {
    // Headers and lists of nodes are at the beginning.
    const at = start + random([HEADER, HEAD, PAGE][random(3)]!);
    overwrite(file, at, Buffer.of(readFileSync(file)[at]! ^ (1 << random(8))));
  }
}

const HEAD = 200;

/** Returns the first page of the tree that lists free pages; a meta page if there is none. */
function freeRoot(file: string): number {
  const fd = openSync(file, 'r');
  const meta = newestMeta(fd);
  closeSync(fd);
  const tree = typeof meta === 'string' ? undefined : meta.trees[0];
  return tree === undefined || tree.depth === 0 ? 0 : tree.root;
}

const HARMS: Readonly<Record<string, Harm>> = { bits, rows, ways, pages, length, structure };

/** The files that can be damaged, by what they are. */
function targets(root: string): Record<string, string[]> {
  const env = (id: number, name: string): string => path.join(root, 'envs', String(id), name);
  const journal = readdirSync(env(2, '.')).filter((name) => name.startsWith('journal.'));
  const objects = (readdirSync(path.join(root, 'objects'), { recursive: true }) as string[])
    .map((name) => path.join(root, 'objects', name))
    .filter((file) => /[0-9a-f]{60}/.test(file) && statSync(file).isFile());
  return {
    store: [path.join(root, 'meta/data.mdb')],
    table: [env(1, 'link/data.mdb'), env(2, 'link/data.mdb')],
    journal: journal.map((name) => env(2, name)),
    objects,
  };
}

/** What was done, and to what. */
export interface Harmed {
  readonly to: string;
  readonly how: string;
  readonly file: string;
}

/** Damages one file of a root. */
export function harm(root: string, seed: number): Harmed {
  const random = randomOf(seed);
  const all = Object.entries(targets(root));
  const [to, files] = all[seed % all.length]!;
  const kinds = Object.entries(HARMS);
  const [how, act] = kinds[Math.floor(seed / all.length) % kinds.length]!;
  const file = files.sort()[random(files.length)]!;
  act(file, random);
  return { to, how, file: path.relative(root, file) };
}

/** Makes a fresh copy of a root. */
export function copyRoot(from: string, to: string): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}
