/** Tells what a patch meets in an env: for each name that it changes, whether the env has something of its own there. */

import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Ino } from '../../base/ids.ts';
import { isDir, isLnk, isReg, S_IFMT } from '../../base/mode.ts';
import { DATA_OBJECT, DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { touchedOnly } from '../../driver/core/follow.ts';
import { type AttributeName, attributesSet } from '../../driver/core/own-attributes.ts';
import { hasOwnName } from '../../driver/core/own-names.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import { ReachedDirs } from '../../driver/core/reached-dirs.ts';
import { type DiffEntry, kindOf, type TreeDiff } from '../../driver/core/tree-diff.ts';
import { PRIVATE_DIR, privateName } from '../../driver/delta/layout.ts';
import { Overwritten } from '../../driver/delta/paged-file.ts';
import { type DeltaView, readDelta } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { sameContent, sha256 } from '../packages/same-file.ts';
import type { NamesByDir } from './planned-names.ts';

/**
 * The state of a name in an env, when a patch changes the name.
 * clean: the env sees the new version. attributes: the same, with the attributes that it has set. in-use: the same, but a
 * process has the old file open or mapped. private: the env has its own. equal: its own equals the new version. deleted:
 * the env has removed it. type-changed: its own is of another type.
 */
export type MeetState =
  | 'clean'
  | 'attributes'
  | 'private'
  | 'equal'
  | 'deleted'
  | 'type-changed'
  | 'in-use';

/** A changed name, and what it meets. */
export interface MetName {
  readonly change: DiffEntry;
  readonly state: MeetState;
  /** The env's own inode under the name, if it has one. */
  readonly own: InodeRecord | null;
  /** For the state `attributes`: those that the env has set. */
  readonly attributes?: readonly AttributeName[];
}

/** True if the env never wrote anything: then every name is clean or in use. */
export function isUntouched(store: Store, row: EnvRow): boolean {
  const directory = envDir(store.root, row.id);
  return !existsSync(directory);
}

/** Opens the env's delta for reading, mounted or not; null if it has none. The caller closes it. @param way as of readDelta() */
export async function openView(
  store: Store,
  row: EnvRow,
  way: 'moment' | 'pages' = 'moment',
): Promise<DeltaView | null> {
  return isUntouched(store, row) ? null : readDelta(envDir(store.root, row.id), way);
}

/**
 * Does something with the env's delta, of which it reads some rows only; null if the env has none. It is done again, with all
 * of the delta held, if a driver wrote to it meanwhile.
 */
export async function withView<T>(
  store: Store,
  row: EnvRow,
  work: (view: DeltaView | null) => Promise<T>,
): Promise<T> {
  const withIt = async (way: 'pages' | 'moment'): Promise<T> => {
    const view = await openView(store, row, way);
    try {
      const result = await work(view);
      view?.confirm();
      return result;
    } catch (error) {
      // What pages of several moments say may look like damage.
      view?.confirm();
      throw error;
    } finally {
      await view?.close();
    }
  };
  try {
    return await withIt('pages');
  } catch (error) {
    if (error instanceof Overwritten) return withIt('moment');
    throw error;
  }
}

/**
 * Yields for each name what it meets in the env.
 * @param view the env's delta; null if it has none
 * @param inUse inodes that processes in the env have open or mapped
 * @param names some names of the change; all if not given
 */
export async function* meets(
  store: Store,
  row: EnvRow,
  view: DeltaView | null,
  change: TreeDiff,
  inUse: ReadonlySet<number>,
  names: Iterable<DiffEntry> = allNames(change),
): AsyncGenerator<MetName> {
  const kept = view === null ? new Set<Ino>() : keptDirs(view, change);
  const reached = view === null ? null : new ReachedDirs(change, view);
  for (const each of names) {
    const own = view?.name(each.dir, each.name) ?? null;
    const reach = own === null && reached !== null ? reached.of(each.dir) : null;
    if (own?.ino === 0 || reach === 'removed') yield { change: each, state: 'deleted', own: null };
    else if (reach === 'covered') yield { change: each, state: 'private', own: null };
    else if (own === null)
      yield { change: each, state: templateState(each, kept, inUse), own: null };
    else
      yield touchedState(view!, change.from, each) ??
        (await ownState(store, row, each, view?.inode(own.ino) ?? null, own));
  }
}

/** Yields those of the names that an env does not simply follow: it has something there, or a process uses the old file. */
export function* touchedNames(
  view: DeltaView | null,
  change: TreeDiff,
  inUse: ReadonlySet<number>,
  { dirs, byInode }: NamesByDir,
): Generator<DiffEntry> {
  const found = new Set<DiffEntry>();
  const inodes = [...inUse, ...(view === null ? [] : keptDirs(view, change))];
  for (const ino of inodes) for (const each of byInode.get(ino as Ino) ?? []) found.add(each);
  if (view !== null) {
    const reached = new ReachedDirs(change, view);
    for (const [dir, names] of dirs) {
      const isThere = reached.of(dir) === 'there';
      for (const each of names) if (!isThere || view.name(dir, each.name) !== null) found.add(each);
    }
  }
  yield* found;
}

function* allNames(change: TreeDiff): Generator<DiffEntry> {
  for (const names of change.byDir.values()) yield* names.values();
}

function templateState(
  { was, is }: DiffEntry,
  kept: ReadonlySet<Ino>,
  inUse: ReadonlySet<number>,
): MeetState {
  if (was === null) return 'clean';
  if (kept.has(was.ino)) return is === null ? 'private' : 'type-changed';
  const changes = is === null || was.ino !== is.ino;
  return changes && inUse.has(was.ino) ? 'in-use' : 'clean';
}

function touchedState(view: DeltaView, lower: LowerTree, change: DiffEntry): MetName | null {
  const was = touchedOnly({ delta: view, lower }, change);
  const own = was === null ? null : view.inode(was.ino);
  if (was === null || own === null) return null;
  return followingState(change, was, own);
}

/** Describes a name that follows, whose file has the data of the template's file `was`. */
function followingState(change: DiffEntry, was: InodeRecord, own: InodeRecord): MetName {
  const attributes = attributesSet(was, own);
  return { change, state: attributes.length === 0 ? 'clean' : 'attributes', own, attributes };
}

async function ownState(
  store: Store,
  row: EnvRow,
  change: DiffEntry,
  own: InodeRecord | null,
  name: { readonly ino: Ino | 0; readonly type: number },
): Promise<MetName> {
  const { was, is } = change;
  // A template's directory that the env keeps, or has moved and moved back, follows.
  if (name.ino === was?.ino && name.ino === is?.ino) return { change, state: 'clean', own };
  const copied = own === null ? null : await copyOf(store, row, own, change);
  if (own !== null && copied !== null) return followingState(change, copied, own);
  if (is !== null && name.type !== (is.mode & S_IFMT))
    return { change, state: 'type-changed', own };
  const equal = own !== null && is !== null && (await isEqual(store, row, own, is));
  return { change, state: equal ? 'equal' : 'private', own };
}

/** Returns the template's file if the env's file is a copy of it with the same bytes; else null. */
async function copyOf(
  store: Store,
  row: EnvRow,
  own: InodeRecord,
  { was }: DiffEntry,
): Promise<InodeRecord | null> {
  if (was === null || own.data !== DATA_PRIVATE || own.nlink !== 1) return null;
  const file = privateFile(store, row, own.ino);
  return (await sameContent(own, file, was).catch(() => false)) ? was : null;
}

/** Returns directories that the templates lose, and that stay in this env because it has something of its own in them. */
function keptDirs(view: DeltaView, change: TreeDiff): Set<Ino> {
  const kept = new Set<Ino>();
  for (const [ino, gone] of change.goneDirs) {
    if (kept.has(ino) || !hasOwnName(view, ino)) continue;
    // The directories above it stay too, as far as the templates lose them.
    for (let at: DiffEntry | undefined = gone; at?.was; at = change.goneDirs.get(at.dir)) {
      kept.add(at.was.ino);
    }
  }
  return kept;
}

/** True if the env's own file has the bytes (or target) of the new version's. */
async function isEqual(
  store: Store,
  row: EnvRow,
  own: InodeRecord,
  is: InodeRecord,
): Promise<boolean> {
  if (isLnk(own.mode)) return own.target === is.target;
  if (isDir(own.mode) || !isReg(own.mode)) return own.mode === is.mode && own.rdev === is.rdev;
  if (own.data === DATA_OBJECT) return own.object === is.object;
  const file = privateFile(store, row, own.ino);
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? -1;
  if (own.data !== DATA_PRIVATE || size !== is.size) return false;
  return size === 0 || (await sha256(file)) === is.object;
}

/** Returns the path of an env's private file. */
export const privateFile = (store: Store, row: EnvRow, ino: Ino): string =>
  path.join(envDir(store.root, row.id), PRIVATE_DIR, privateName(ino));

/** Returns the letter for a change in lists. A: added, C: changed, D: removed. */
export const letterOf = (change: DiffEntry): 'A' | 'C' | 'D' => {
  const kind = kindOf(change);
  return kind === 'added' ? 'A' : kind === 'removed' ? 'D' : 'C';
};
