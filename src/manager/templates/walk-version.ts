/** Walks a version of a template from its root; a directory comes before its contents. */
import { type Ino, type Name, ROOT_INO } from '../../base/ids.ts';
import { isDir, isReg } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { entriesOf } from '../../driver/core/lower-entries.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { Store } from '../../store/store.ts';

/** One inode that a walk meets. */
export interface WalkEntry {
  /** The path from the root, as a binary string: "" for the root, "etc/passwd". */
  readonly path: string;
  readonly record: InodeRecord;
}

/** Returns the tree of one template, without others, at the version that NAME or NAME@VERSION refers to. */
export function versionTree(store: Store, ref: string): LowerTree {
  const { template, version } = store.catalog.resolve(ref);
  return store.lowerTree([{ templateId: template.id, version: version.number }]);
}

/** Returns the regular file at a path, without following symlinks; null if there is none. */
export function fileAt(lower: LowerTree, path: string): InodeRecord | null {
  const record = recordAt(lower, path);
  return record !== null && isReg(record.mode) ? record : null;
}

/** Returns the directory at a path, without following symlinks; null if there is none. */
export function dirAt(lower: LowerTree, path: string): Ino | null {
  const record = recordAt(lower, path);
  return record !== null && isDir(record.mode) ? record.ino : null;
}

/** Returns what is at a path, without following symlinks; null if nothing is. */
export function recordAt(lower: LowerTree, path: string): InodeRecord | null {
  const parts = path.split('/').filter((part) => part !== '') as Name[];
  let dir: Ino = ROOT_INO;
  let record: InodeRecord | null = null;
  for (const part of parts) {
    record = lower.lookup(dir, part);
    if (record === null) return null;
    dir = record.ino;
  }
  return record;
}

/** Yields the root and everything below it. */
export function* walkVersion(lower: LowerTree): Generator<WalkEntry> {
  const root = lower.inode(ROOT_INO);
  if (root === null) return;
  yield { path: '', record: root };
  yield* walkBelow(lower, ROOT_INO, '');
}

/** Yields everything below a directory, by name in byte order. */
export function* walkBelow(lower: LowerTree, dir: Ino, path: string): Generator<WalkEntry> {
  for (const [name, record] of sortedEntries(lower, dir)) {
    const child = path === '' ? name : `${path}/${name}`;
    yield { path: child, record };
    if (isDir(record.mode)) yield* walkBelow(lower, record.ino, child);
  }
}

/** Returns a directory's entries, by name in byte order. */
export function sortedEntries(lower: LowerTree, dir: Ino): [Name, InodeRecord][] {
  const all = [...entriesOf(lower, dir)].sort((a, b) => (a.name < b.name ? -1 : 1));
  return all.map(({ name, record }) => [name, record]);
}
