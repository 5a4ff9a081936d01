/**
 * Keeps what no record of an env names, in `lost+found` in the env's directory: private files whose records may be lost, and
 * the parts of a journal that can't be read. Nothing is removed from there but by `byref fsck --remove-lost`.
 */
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { EEXIST } from '../../base/errno.ts';
import type { Ino } from '../../base/ids.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import { LOST_DIR, privateIno } from './layout.ts';
import { decodeTag, TAG_XATTR } from './name-tag.ts';
import { syncDirNow } from './sync-dir.ts';

const RENAME_NOREPLACE = 1;

/** A file in lost+found, with what is known of it. */
export interface LostFile {
  readonly path: string;
  /** The number that it had in the env; null for a part of a journal. */
  readonly ino: Ino | null;
  readonly bytes: number;
  /** When it was last written, in milliseconds since the epoch. */
  readonly mtimeMs: number;
  /** The last part of the name that it had when it was made, if it was still tagged with that; else null. */
  readonly name: string | null;
}

/** Returns the path of an env's lost+found, which need not exist. */
export const lostDir = (envDir: string): string => path.join(envDir, LOST_DIR);

/** Moves a private file there, with its times and its name tag. Returns 0 or -errno. */
export function loseFile(envDir: string, privateFd: number, name: string): number {
  const directory = lostDir(envDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (let i = 1; ; i++) {
    const to = path.join(directory, i === 1 ? name : `${name}.${i}`);
    const moved = native.renameAt(privateFd, name, AT_FDCWD, to, RENAME_NOREPLACE);
    // The number of a file that was lost earlier may have been given out again.
    if (moved !== -EEXIST) return moved;
  }
}

/** Copies parts of a journal there. They are on disk when this returns. */
export function keepLost(envDir: string, files: readonly string[]): void {
  const directory = lostDir(envDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const file of files) copyFileSync(file, path.join(directory, path.basename(file)));
  syncDirNow(directory);
}

/** Lists what an env has lost. */
export function lostFiles(envDir: string): LostFile[] {
  const directory = lostDir(envDir);
  let names: string[];
  try {
    names = readdirSync(directory).sort();
  } catch {
    return [];
  }
  return names.flatMap((name) => describe(path.join(directory, name)) ?? []);
}

/** Removes one of them. */
export const removeLost = ({ path: file }: LostFile): void => rmSync(file, { force: true });

const stat = new Float64Array(STAT_SLOTS);

function describe(file: string): LostFile | null {
  const failed = native.statAt(AT_FDCWD, file, stat, AT_SYMLINK_NOFOLLOW);
  if (failed < 0) return null;
  const ino = privateIno(path.basename(file).replace(/\.\d+$/, ''));
  const tag = native.getXattr(file, TAG_XATTR);
  const places = typeof tag === 'number' ? [] : (decodeTag(tag)?.places ?? []);
  return {
    path: file,
    ino: ino < 0 ? null : (ino as Ino),
    bytes: stat[STAT.size]!,
    mtimeMs: stat[STAT.mtime]! * 1000,
    name: places[0]?.name ?? null,
  };
}
