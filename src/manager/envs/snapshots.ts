/**
 * Snapshots. Each is an env of its own, which is never mounted, and which is pinned to the versions that the other one saw: so all that keeps
 * versions, objects and files for envs keeps them for snapshots, and one is made, and turned into an env again, as a clone is. Its name is that of
 * a row that people can't give an env (store/names.ts).
 *
 * Beside the env's changes, `envs/ID/snapshot.json` says what a restore and the next snapshot need to know.
 */
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { PRIVATE_DIR } from '../../driver/delta/layout.ts';
import { snapshotIn, snapshotRow } from '../../store/names.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import type { DeltaCopy } from './copy-delta.ts';
import { type IsKnown, type Seen, unchangedSince } from './copy-private.ts';

const NOTE_FILE = 'snapshot.json';
/** ext4 allows 65,000 links to one file. */
const LINKS_MAX = 60_000;

/** What is kept with a snapshot. */
export interface SnapshotNote {
  /** Which templates of its stack, the OS first, the env followed. */
  readonly follows: readonly boolean[];
  /** What its private files were when they were copied, so that the next snapshot knows them again: see unchangedSince(). */
  readonly trustedMs: number | null;
  readonly files: ReadonlyMap<string, Seen>;
}

/** The same as it is on disk: of a file its name, inode, and ctime. */
interface StoredNote extends Omit<SnapshotNote, 'files'> {
  readonly files: readonly (readonly [name: string, ino: number, ctime: number, ctimeNs: number])[];
}

/** Returns a snapshot's own name. */
export const snapshotName = (row: EnvRow): string => snapshotIn(row.name)?.name ?? row.name;

/** Finds a snapshot by its name. @throws ByrefError 'notFound' */
export function needSnapshot(store: Store, env: EnvRow, name: string): EnvRow {
  const row = store.snapshots(env.id).find((each) => each.name === snapshotRow(env.id, name));
  if (row !== undefined) return row;
  const hint = `See: byref snapshot list ${env.name}`;
  throw new ByrefError('notFound', `${env.name} has no snapshot "${name}"`, hint);
}

/** Notes what the copy of an env needs to be a snapshot. It is not on disk yet when this returns. */
export function noteSnapshot(
  root: string,
  id: number,
  follows: readonly boolean[],
  { seen, trustedMs }: DeltaCopy['files'],
): void {
  const files = [...seen].map(
    ([name, { ino, ctime, ctimeNs }]) => [name, ino, ctime, ctimeNs] as const,
  );
  const note: StoredNote = { follows, trustedMs, files };
  writeFileSync(path.join(envDir(root, id), NOTE_FILE), JSON.stringify(note), { mode: 0o600 });
}

/** Reads what was noted. @throws ByrefError 'corrupt' if that is damaged */
export function readSnapshotNote(root: string, id: number): SnapshotNote {
  const file = path.join(envDir(root, id), NOTE_FILE);
  try {
    const note = JSON.parse(readFileSync(file, 'utf8')) as Partial<StoredNote>;
    const { follows, files, trustedMs = null } = note;
    if (Array.isArray(follows) && Array.isArray(files)) {
      const seen = (files as StoredNote['files']).map(
        ([name, ino, ctime, ctimeNs]) => [name, { ino, ctime, ctimeNs }] as const,
      );
      return { follows, files: new Map(seen), trustedMs };
    }
    throw new Error('something is missing in it');
  } catch (cause) {
    const message = `${file} can't be read: ${(cause as Error).message}`;
    throw new ByrefError('corrupt', message, 'Restore another snapshot, or a backup.', { cause });
  }
}

/** A snapshot that the next one of the same env shares files with. */
export interface FormerSnapshot {
  readonly id: number;
  /** True for files that it has as they are now. */
  readonly isKnown: IsKnown;
}

/** Returns the newest snapshot of an env that can be read; null if it has none. */
export function formerSnapshot(store: Store, env: number): FormerSnapshot | null {
  for (const { id } of store.snapshots(env).reverse()) {
    try {
      const isSame = unchangedIn(store.root, id);
      const isKnown: IsKnown = (name, seen) => isSame(name, seen) && canLink(store, id, name);
      return { id, isKnown };
    } catch {
      // A damaged one, which byref fsck reports.
    }
  }
  return null;
}

/** Recognises private files of an env that are as a snapshot of it has them. @throws ByrefError 'corrupt' as readSnapshotNote() */
export function unchangedIn(root: string, id: number): IsKnown {
  const { files, trustedMs } = readSnapshotNote(root, id);
  return unchangedSince((name) => files.get(name), trustedMs);
}

function canLink({ root }: Store, id: number, name: string): boolean {
  const stat = statSync(privateFile(root, id, name), { throwIfNoEntry: false });
  return stat !== undefined && stat.nlink < LINKS_MAX;
}

/**
 * Gives a snapshot the files that the former one has, too, by links: nothing ever writes to the files of either.
 * @param names files of which the copy has a hole so far
 */
export function shareFiles(
  root: string,
  id: number,
  former: FormerSnapshot,
  names: Iterable<string>,
): void {
  for (const name of names) {
    const file = privateFile(root, id, name);
    rmSync(file, { force: true });
    linkSync(privateFile(root, former.id, name), file);
  }
}

const privateFile = (root: string, id: number, name: string): string =>
  path.join(envDir(root, id), PRIVATE_DIR, name);
