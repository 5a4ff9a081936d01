import { type Ino, isPrivateIno, type Name, type NodeId, ROOT_INO } from '../base/ids.ts';
import { S_IFDIR, S_IFMT } from '../base/mode.ts';
import { COOKIE_DOT, COOKIE_DOTDOT } from '../base/name-hash.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import type { DirSink } from './api.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { countLookup, forget } from './lookup.ts';
import { directory, layersOf } from './names.ts';
import type { DeltaEntry, LayerEntry } from './ports.ts';

const DOT = '.' as Name;
const DOTDOT = '..' as Name;
/** Names fetched at a time: about what one READDIRPLUS reply holds. */
const BATCH = 256;
const NOTHING: readonly never[] = [];

/** Takes one visible name; `record` is the template's, or null where the delta names the inode. False: stop. */
type Visitor = (
  name: Name,
  cookie: number,
  ino: Ino,
  type: number,
  record: InodeRecord | null,
) => boolean;

export function readdir(
  core: Core,
  node: NodeId,
  cookie: number,
  plus: boolean,
  sink: DirSink,
): number {
  const dir = directory(core, node);
  if (typeof dir === 'number') return dir;
  if (cookie < COOKIE_DOT && !sink.entry(DOT, dir.ino, S_IFDIR, COOKIE_DOT)) return 0;
  if (cookie < COOKIE_DOTDOT) {
    const parent = dir.record.parent === 0 ? ROOT_INO : dir.record.parent;
    if (!sink.entry(DOTDOT, parent, S_IFDIR, COOKIE_DOTDOT)) return 0;
  }
  if (dir.record.nlink === 0 && dir.gone === null) return 0;
  visit(core, dir, Math.max(cookie, COOKIE_DOTDOT), (name, at, ino, type, record) => {
    if (!plus) return sink.entry(name, ino, type, at);
    const inode = record === null ? core.inodes.load(ino) : core.inodes.adopt(record, dir.gone);
    if (inode === null) return sink.entry(name, ino, type, at);
    // Without room for its inode a name is listed all the same.
    if (!countLookup(core, inode)) return sink.entry(name, ino, type, at);
    const taken = sink.plus(name, inode, type, at);
    if (!taken) forget(core, inode.node, 1);
    return taken;
  });
  return 0;
}

export function isEmpty(core: Core, dir: Inode): boolean {
  let empty = true;
  visit(core, dir, COOKIE_DOTDOT, () => {
    empty = false;
    return false;
  });
  return empty;
}

/**
 * Merges the env's names over the templates', in cookie order, from just after `after`. Both are read in
 * batches; a batch that is full may hide names beyond its last cookie, so the merge stops there and reads on.
 */
function visit(core: Core, dir: Inode, after: number, take: Visitor): void {
  const { ino } = dir;
  const ownNames = core.delta.hasNames(ino);
  const templated = !isPrivateIno(ino);
  const layers = layersOf(core, dir);
  let from = after;
  for (;;) {
    const own = ownNames ? core.delta.list(ino, from, BATCH) : NOTHING;
    const rows = templated ? layers.list(ino, from, BATCH) : NOTHING;
    const bound = Math.min(lastCookie(own), lastCookie(rows));
    if (!merge(own, rows, bound, take) || bound === Infinity) return;
    from = bound;
  }
}

const lastCookie = (batch: readonly { readonly cookie: number }[]): number =>
  batch.length < BATCH ? Infinity : (batch[batch.length - 1]?.cookie ?? Infinity);

function merge(
  own: readonly DeltaEntry[],
  rows: readonly LayerEntry[],
  bound: number,
  take: Visitor,
): boolean {
  let i = 0;
  let j = 0;
  for (;;) {
    const mine = own[i];
    const row = rows[j];
    const at = Math.min(mine?.cookie ?? Infinity, row?.cookie ?? Infinity);
    if (at === Infinity || at > bound) return true;
    if (row !== undefined && row.cookie === at) {
      j++;
      if (mine?.cookie === at && isChanged(own, i, at, row.name)) continue;
      const { record } = row;
      if (!take(row.name, at, record.ino, record.mode & S_IFMT, record)) return false;
    } else if (mine !== undefined) {
      i++;
      if (mine.ino !== 0 && !take(mine.name, at, mine.ino, mine.type, null)) return false;
    }
  }
}

/** True if among the env's names of this cookie, from the i-th on, is this one. */
function isChanged(own: readonly DeltaEntry[], i: number, cookie: number, name: Name): boolean {
  for (let k = i; own[k]?.cookie === cookie; k++) if (own[k]?.name === name) return true;
  return false;
}
