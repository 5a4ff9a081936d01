/** Lists what differs between two versions, or two templates: `byref template diff`. */
import { type Ino, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { sameForDiff } from '../../codec/same-inode.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { Store } from '../../store/store.ts';
import { sortedEntries, versionTree, walkBelow } from './walk-version.ts';

/** A path that was added, changed (content or attributes) or deleted. `path` is absolute, a binary string. */
export interface Difference {
  readonly kind: 'A' | 'C' | 'D';
  readonly path: string;
}

/**
 * Yields what changed from `from` to `to` (each NAME or NAME@VERSION), in the order of a walk.
 * @throws ByrefError 'notFound', 'usage'
 */
export function* diffVersions(store: Store, from: string, to: string): Generator<Difference> {
  const before = versionTree(store, from);
  const after = versionTree(store, to);
  const oldRoot = before.inode(ROOT_INO);
  const newRoot = after.inode(ROOT_INO);
  if (oldRoot && newRoot && !sameForDiff(oldRoot, newRoot)) yield { kind: 'C', path: '/' };
  yield* diffDirectories(before, after, ROOT_INO, '');
}

/** Compares a directory that both sides have: its path is the same, so its ino is, too. */
function* diffDirectories(
  before: LowerTree,
  after: LowerTree,
  dir: Ino,
  path: string,
): Generator<Difference> {
  const old = new Map(sortedEntries(before, dir));
  const now = new Map(sortedEntries(after, dir));
  for (const name of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const child = `${path}/${name}`;
    const was = old.get(name);
    const is = now.get(name);
    if (is === undefined) yield* subtree(before, 'D', child, was);
    else if (was === undefined) yield* subtree(after, 'A', child, is);
    else yield* diffEntry(before, after, child, was, is);
  }
}

function* diffEntry(
  before: LowerTree,
  after: LowerTree,
  path: string,
  was: InodeRecord,
  is: InodeRecord,
): Generator<Difference> {
  if (!sameForDiff(was, is)) yield { kind: 'C', path };
  if (isDir(was.mode) && isDir(is.mode)) yield* diffDirectories(before, after, is.ino, path);
  else if (isDir(was.mode)) yield* below(before, 'D', path, was.ino);
  else if (isDir(is.mode)) yield* below(after, 'A', path, is.ino);
}

function* subtree(
  lower: LowerTree,
  kind: 'A' | 'D',
  path: string,
  record: InodeRecord | undefined,
): Generator<Difference> {
  yield { kind, path };
  if (record && isDir(record.mode)) yield* below(lower, kind, path, record.ino);
}

function* below(lower: LowerTree, kind: 'A' | 'D', path: string, dir: Ino): Generator<Difference> {
  for (const entry of walkBelow(lower, dir, path)) yield { kind, path: entry.path };
}
