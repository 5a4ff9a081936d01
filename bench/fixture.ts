import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Contents, DEBIAN_LIKE, planTree, writeTree } from './tree.ts';

const MIB = 1024 * 1024;

/** Paths inside every peer's root, beside the 30,000 files of the tree. */
export const PATHS = {
  /** Where programs and libraries lie: byref's shared data path. */
  sharedLarge: 'usr/lib/large-64m',
  /** Where services keep data: byref's coherent data path. */
  coherentLarge: 'srv/large-64m',
  nothing: 'usr/bin/nothing',
  wideDir: 'opt/bench/wide',
  copyUp: 'opt/bench/copyup',
  scratch: 'var/bench',
} as const;

export const TREE_TOPS = ['usr', 'var/lib', 'etc'] as const;
export const COPY_UPS = [
  { label: '4k', size: 4096, count: 200 },
  { label: '1m', size: MIB, count: 16 },
  { label: '256m', size: 256 * MIB, count: 1 },
] as const;
export type CopyUpLabel = (typeof COPY_UPS)[number]['label'];
const WIDE_ENTRIES = 1000;

export const copyUpPaths = (label: CopyUpLabel): string[] => {
  const count = COPY_UPS.find((each) => each.label === label)?.count ?? 0;
  return Array.from({ length: count }, (_, i) => `${PATHS.copyUp}/${label}-${i}`);
};

/** What is measured on, and lists of it for the measuring loops. */
export interface Fixture {
  /** File with all of the tree's regular files, a path a line, in a fixed random order. */
  readonly list: string;
  readonly files: readonly string[];
  /** A file of the middle of the tree. */
  readonly sample: string;
}

/** Writes the whole root that each peer serves. */
export function writeRoot(root: string, nothing: string): void {
  const contents = new Contents();
  writeTree(planTree(DEBIAN_LIKE), root);
  contents.writeLarge(join(root, PATHS.sharedLarge), 64 * MIB);
  contents.writeLarge(join(root, PATHS.coherentLarge), 64 * MIB);
  for (const { label, size } of COPY_UPS) {
    for (const path of copyUpPaths(label)) contents.writeLarge(join(root, path), size);
  }
  mkdirSync(join(root, PATHS.wideDir));
  for (let i = 0; i < WIDE_ENTRIES; i++) {
    writeFileSync(join(root, PATHS.wideDir, `entry-${i}`), contents.take(i, 700 + i));
  }
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  copyFileSync(nothing, join(root, PATHS.nothing));
  chmodSync(join(root, PATHS.nothing), 0o755);
}

export function makeFixture(dir: string): Fixture {
  const files = planTree(DEBIAN_LIKE).files.map((file) => file.path);
  const list = join(dir, 'files.txt');
  // Creation order would read a disk, and a directory, in the order that suits it best.
  const mixed = files.map((path, i) => ({ path, at: Math.imul(i + 1, 0x9e3779b1) >>> 0 }));
  mixed.sort((a, b) => a.at - b.at);
  writeFileSync(list, `${mixed.map(({ path }) => path).join('\n')}\n`);
  return { list, files, sample: files[Math.floor(files.length / 2)] ?? '' };
}
