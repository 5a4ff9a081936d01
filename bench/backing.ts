import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { fileSystemType, unmount, unmountBelow } from './mounts.ts';
import { run } from './process.ts';

/**
 * Where trees, stores and upper directories of all peers lie:
 * disk  a directory on the machine's disk;
 * ram   ext4 on a loop device over a file in tmpfs: the same code paths, without the disk's noise;
 * xfs   the same with XFS, whose reflinks make a copy-up free of copying.
 */
export const BACKINGS = ['disk', 'ram', 'xfs'] as const;
export type BackingKind = (typeof BACKINGS)[number];

export interface Backing {
  readonly kind: BackingKind;
  readonly dir: string;
  /** File system type, as in /proc/mounts. */
  readonly type: string;
}

/** Not /tmp, which may be in RAM. */
const DISK_DIR = '/var/tmp';
/** Sparse: takes only what is written. */
const IMAGE_SIZE = '12G';
const MKFS: Record<'ram' | 'xfs', readonly string[]> = {
  // Inode tables and journal are written now, not by a kernel thread while something is measured.
  ram: ['mkfs.ext4', '-q', '-F', '-N', '2000000', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
  xfs: ['mkfs.xfs', '-q', '-f', '-m', 'reflink=1'],
};

export async function openBacking(kind: BackingKind, cleanup: Cleanup): Promise<Backing> {
  const base = mkdtempSync(join(DISK_DIR, `byref-bench-${kind}-`));
  cleanup.defer(`remove ${base}`, () => rmSync(base, { recursive: true, force: true }));
  const dir = kind === 'disk' ? base : await makeLoop(kind, base, cleanup);
  cleanup.defer(`unmount all below ${dir}`, () => unmountBelow(dir));
  return { kind, dir, type: fileSystemType(dir) };
}

async function makeLoop(kind: 'ram' | 'xfs', base: string, cleanup: Cleanup): Promise<string> {
  const memory = join(base, 'memory');
  const dir = join(base, 'fs');
  const image = join(memory, 'image');
  mkdirSync(memory);
  mkdirSync(dir);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${IMAGE_SIZE}`, 'byref-bench', memory]);
  cleanup.defer(`unmount ${memory}`, () => unmount(memory));
  await run('truncate', ['-s', IMAGE_SIZE, image]);
  const [mkfs, ...options] = MKFS[kind];
  await run(mkfs ?? '', [...options, image]);
  // The loop device detaches itself at umount.
  await run('mount', ['-o', 'loop', image, dir]);
  cleanup.defer(`unmount ${dir}`, () => unmount(dir));
  return dir;
}
