import { type Ino, isPrivateIno, ROOT_INO } from '../../base/ids.ts';
import { S_IFDIR } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Core } from './core.ts';
import { countAgain, hasOwn } from './names.ts';
import type { DirEntryRef, LowerTree } from './ports.ts';

/**
 * Keeps directories of the templates that `layers` lacks and in which the env has something of its own: they, and those
 * above them that are gone too, become the env's own. Else what is in them could not be reached any more.
 * @param before what the env saw until now; null if that is not known
 * @param dirs template directories that may be such
 * @returns the names that are the env's own now
 */
export function keepDirs(
  core: Core,
  before: LowerTree | null,
  layers: LowerTree,
  dirs: Iterable<Ino>,
): DirEntryRef[] {
  const way = { core, before, layers, kept: [] };
  for (const dir of dirs) {
    if (!isPrivateIno(dir) && dir !== ROOT_INO && hasOwn(core, dir)) keep(way, dir);
  }
  return way.kept;
}

interface Way {
  readonly core: Core;
  readonly before: LowerTree | null;
  readonly layers: LowerTree;
  readonly kept: DirEntryRef[];
}

/** One transaction per directory, which leaves the env right whatever comes of the next one. */
function keep(way: Way, dir: Ino): void {
  const { core, before, layers, kept } = way;
  const record =
    core.delta.inode(dir) ?? before?.inode(dir) ?? layers.inode(dir) ?? layers.lastDir(dir);
  if (record === null || record.name === '' || record.nlink === 0) return;
  const place = { dir: record.parent as Ino, name: record.name };
  // The env moved or replaced it.
  if (core.delta.name(place.dir, place.name) !== null) return;
  // From the top down: a directory that is reached is never below one that is not.
  if (place.dir !== ROOT_INO && !isPrivateIno(place.dir)) keep(way, place.dir);
  // A template has it.
  if (layers.lookup(place.dir, place.name)?.ino === dir) return;
  if (takeOver(core, record, place)) kept.push(place);
}

/** The caller sees to what the kernel knows of it. */
function takeOver(core: Core, record: InodeRecord, { dir, name }: DirEntryRef): boolean {
  // Links, also those of the directory above, are counted when they are next looked at: no stack has this stamp.
  const own = { ...record, stamp: 0 };
  core.tx.begin();
  core.tx.setName(dir, name, record.ino, S_IFDIR);
  core.tx.setNew(own);
  countAgain(core, dir);
  return core.tx.commit() === 0;
}
