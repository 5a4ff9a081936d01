import { isPrivateIno, type Name, type NodeId, ROOT_INO } from '../../base/ids.ts';
import { S_IFDIR } from '../../base/mode.ts';
import { COOKIE_DOT, COOKIE_DOTDOT, nameOrdinal, ORDINAL_LAST } from '../../base/name-hash.ts';
import { accessed } from './access-times.ts';
import type { DirSink } from './api.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { countLookup, forget } from './lookup.ts';
import { ALONE, mergeNames, type Visitor } from './merge-names.ts';
import { directory, layersOf } from './names.ts';

const DOT = '.' as Name;
const DOTDOT = '..' as Name;
/** Names fetched per page: about what one READDIRPLUS reply holds. */
const BATCH = 256;
const NOTHING: readonly never[] = [];

/**
 * Lists a directory into `sink`, from just after the place (cookie, ordinal), including "." and "..". Returns 0 or
 * -errno.
 */
export function readdir(
  core: Core,
  node: NodeId,
  cookie: number,
  ordinal: number,
  plus: boolean,
  sink: DirSink,
): number {
  const dir = directory(core, node);
  if (typeof dir === 'number') return dir;
  accessed(core, dir);
  if (cookie < COOKIE_DOT && !sink.entry(DOT, dir.ino, S_IFDIR, COOKIE_DOT, ORDINAL_LAST)) return 0;
  if (cookie < COOKIE_DOTDOT) {
    const parent = dir.record.parent === 0 ? ROOT_INO : dir.record.parent;
    if (!sink.entry(DOTDOT, parent, S_IFDIR, COOKIE_DOTDOT, ORDINAL_LAST)) return 0;
  }
  if (dir.record.nlink === 0 && dir.gone === null) return 0;
  // If the last listing stopped between names of one cookie, that cookie's names are read again.
  const after = ordinal < ORDINAL_LAST ? cookie - 1 : cookie;
  visit(core, dir, Math.max(after, COOKIE_DOTDOT), (entry, nth, last) => {
    const { name, ino, type, record, cookie: at } = entry;
    if (at === cookie && (nth === ALONE ? nameOrdinal(name) : nth) <= ordinal) return true;
    const place = last ? ORDINAL_LAST : nth;
    if (!plus) return sink.entry(name, ino, type, at, place);
    const inode = record === null ? core.inodes.load(ino) : core.inodes.adopt(record, dir.gone);
    if (inode === null) return sink.entry(name, ino, type, at, place);
    // If there is no room for its inode, the name is still listed.
    if (!countLookup(core, inode)) return sink.entry(name, ino, type, at, place);
    const taken = sink.plus(name, inode, type, at, place);
    if (!taken) forget(core, inode.node, 1);
    return taken;
  });
  return 0;
}

/** Returns true if the env shows no name in the directory. */
export function isEmpty(core: Core, dir: Inode): boolean {
  let empty = true;
  visit(core, dir, COOKIE_DOTDOT, () => {
    empty = false;
    return false;
  });
  return empty;
}

/**
 * Visits the env's names merged over the templates', in cookie order, from just after `after`. Both are read in
 * batches. Beyond the last cookie of a full batch there may be more names, so the merge stops there and reads on.
 */
function visit(core: Core, dir: Inode, after: number, take: Visitor): void {
  const { ino } = dir;
  const ownNames = core.delta.hasNames(ino);
  const templated = !isPrivateIno(ino);
  const lower = layersOf(core, dir);
  let from = after;
  for (;;) {
    const own = ownNames ? core.delta.list(ino, from, BATCH) : NOTHING;
    const rows = templated ? lower.list(ino, from, BATCH) : NOTHING;
    const bound = Math.min(lastCookie(own), lastCookie(rows));
    if (!mergeNames(own, rows, bound, take) || bound === Infinity) return;
    from = bound;
  }
}

const lastCookie = (batch: readonly { readonly cookie: number }[]): number =>
  batch.length < BATCH ? Infinity : (batch[batch.length - 1]?.cookie ?? Infinity);
