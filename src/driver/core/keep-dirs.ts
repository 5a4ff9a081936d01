import { type Ino, isPrivateIno, ROOT_INO } from '../../base/ids.ts';
import { S_IFDIR } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Core } from './core.ts';
import { countAgain, hasOwn } from './names.ts';
import type { DirEntryRef, LowerTree } from './ports.ts';

/**
 * Keeps template directories that `lower` lacks and in which the env has something of its own. They, and the
 * missing directories above them, become the env's own; otherwise their contents could no longer be reached.
 * @param before the lower tree that the env saw until now; null if not known
 * @param dirs template directories to check
 * @returns the names that became the env's own
 */
export function keepDirs(
  core: Core,
  before: LowerTree | null,
  lower: LowerTree,
  dirs: Iterable<Ino>,
): DirEntryRef[] {
  const way = { core, before, lower, kept: [] };
  for (const dir of dirs) {
    if (!isPrivateIno(dir) && dir !== ROOT_INO && hasOwn(core, dir)) keep(way, dir);
  }
  return way.kept;
}

interface Way {
  readonly core: Core;
  readonly before: LowerTree | null;
  readonly lower: LowerTree;
  readonly kept: DirEntryRef[];
}

/** Uses one transaction per directory, so that the env is consistent even if the next one fails. */
function keep(way: Way, dir: Ino): void {
  const { core, before, lower, kept } = way;
  const record =
    core.delta.inode(dir) ?? before?.inode(dir) ?? lower.inode(dir) ?? lower.lastDir(dir);
  if (record === null || record.name === '' || record.nlink === 0) return;
  const place = { dir: record.parent as Ino, name: record.name };
  // The env moved or replaced the directory.
  if (core.delta.name(place.dir, place.name) !== null) return;
  // From the top down, so that a reachable directory is never below an unreachable one.
  if (place.dir !== ROOT_INO && !isPrivateIno(place.dir)) keep(way, place.dir);
  // A template still has it.
  if (lower.lookup(place.dir, place.name)?.ino === dir) return;
  if (takeOver(core, record, place)) kept.push(place);
}

/** Makes the directory the env's own on record; the caller updates what the kernel knows of it. */
function takeOver(core: Core, record: InodeRecord, { dir, name }: DirEntryRef): boolean {
  // No stack has stamp 0, so links are counted again at the next look, also those of the directory above.
  const own = { ...record, stamp: 0 };
  core.tx.begin();
  core.tx.setName(dir, name, record.ino, S_IFDIR);
  core.tx.setNew(own);
  countAgain(core, dir);
  return core.tx.commit() === 0;
}
