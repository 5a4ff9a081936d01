import { type Ino, isPrivateIno, ROOT_INO } from '../base/ids.ts';
import { S_IFDIR } from '../base/mode.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import type { Core } from './core.ts';
import type { Layers, Place } from './ports.ts';

/** Names of a directory that are read at a time. */
const BATCH = 256;

/**
 * Keeps directories of the templates that `layers` lacks and in which the env has something of its own: they, and those
 * above them that are gone too, become the env's own. Else what is in them could not be reached any more.
 * @param dirs template directories that may be such
 * @returns the names that are the env's own now
 */
export function keepDirs(core: Core, layers: Layers, dirs: Iterable<Ino>): Place[] {
  const kept: Place[] = [];
  for (const dir of dirs) {
    if (!isPrivateIno(dir) && dir !== ROOT_INO && hasOwn(core, dir)) keep(core, layers, dir, kept);
  }
  return kept;
}

function hasOwn(core: Core, dir: Ino): boolean {
  if (!core.delta.hasNames(dir)) return false;
  for (let after = 0; ; ) {
    const names = core.delta.list(dir, after, BATCH);
    if (names.some(({ ino }) => ino !== 0)) return true;
    if (names.length < BATCH) return false;
    after = names.at(-1)?.cookie ?? after;
  }
}

/** One transaction per directory, which leaves the env right whatever comes of the next one. */
function keep(core: Core, layers: Layers, dir: Ino, kept: Place[]): void {
  const record = core.delta.inode(dir) ?? layers.inode(dir) ?? layers.lastDir(dir);
  if (record === null || record.name === '' || record.nlink === 0) return;
  const place = { dir: record.parent as Ino, name: record.name };
  // The env moved or replaced it, or a template has it.
  if (core.delta.name(place.dir, place.name) !== null) return;
  if (layers.lookup(place.dir, place.name)?.ino === dir) return;
  // From the top down: a directory that is reached is never below one that is not.
  if (place.dir !== ROOT_INO && !isPrivateIno(place.dir)) keep(core, layers, place.dir, kept);
  if (takeOver(core, record, place)) kept.push(place);
}

function takeOver(core: Core, record: InodeRecord, { dir, name }: Place): boolean {
  // Its links are counted when it is next looked at: no stack has this stamp.
  const own = { ...record, stamp: 0 };
  core.tx.begin();
  core.tx.setName(dir, name, record.ino, S_IFDIR);
  const inode = core.inodes.peek(record.ino);
  if (inode === null) core.tx.setNew(own);
  else core.tx.set(inode, own);
  return core.tx.commit() === 0;
}
