/** Compares what two envs show where either has changed something: an env and its snapshot, or two snapshots of it. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { type Ino, type Name, pathToText, ROOT_INO } from '../../base/ids.ts';
import { isDir, isReg, S_IFMT } from '../../base/mode.ts';
import { DATA_OBJECT, DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { type AttributeName, attributesSet } from '../../driver/core/own-attributes.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import { PRIVATE_DIR, privateName } from '../../driver/delta/layout.ts';
import { type DeltaView, readDelta } from '../../driver/delta/read-delta.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { type EnvChange, pathsChangedIn } from './diff.ts';

const PIECE = 2 ** 18;

const stat = new Float64Array(STAT_SLOTS);

/**
 * Lists what differs between two envs, sorted by path: what only the second has (A), what both have otherwise (C), what only the first has
 * (D). What neither has changed is left out: there the templates differ, if at all.
 * @param isSame true for private files that are known to have the same bytes in both: they are not read
 */
export async function changesBetween(
  store: Store,
  before: EnvRow,
  after: EnvRow,
  isSame: (name: string, file: string) => boolean,
): Promise<EnvChange[]> {
  const [was, is] = [await Side.open(store, before), await Side.open(store, after)];
  try {
    const paths = new Set([...was.changed(), ...is.changed()]);
    const found = [...paths].sort().flatMap((at) => difference(was, is, at, isSame) ?? []);
    return found.map((change) => ({ ...change, path: pathToText(change.path) }));
  } finally {
    await was.close();
    await is.close();
  }
}

type IsSame = Parameters<typeof changesBetween>[3];

function difference(was: Side, is: Side, at: string, isSame: IsSame): EnvChange | null {
  const [before, after] = [was.at(at), is.at(at)];
  if (before === null || after === null) {
    if (before === after) return null;
    return { kind: before === null ? 'A' : 'D', attributes: null, path: at };
  }
  const change = { kind: 'C', path: at } as const;
  if (!sameContent(was, before, is, after, isSame)) return { ...change, attributes: null };
  const attributes = attributesBetween(before, after);
  return attributes.length === 0 ? null : { ...change, attributes };
}

/** A directory's times only say when something was done in it; that a file was read is no change. */
function attributesBetween(before: InodeRecord, after: InodeRecord): AttributeName[] {
  const set = attributesSet({ ...before, flags: 0 }, { ...after, flags: 0 });
  return set.filter((name) => name !== 'atime' && (name !== 'mtime' || !isDir(after.mode)));
}

function sameContent(
  was: Side,
  before: InodeRecord,
  is: Side,
  after: InodeRecord,
  isSame: IsSame,
): boolean {
  if ((before.mode & S_IFMT) !== (after.mode & S_IFMT)) return false;
  if (!isReg(before.mode)) return before.target === after.target && before.rdev === after.rdev;
  if (before.size !== after.size) return false;
  const [one, other] = [was.fileOf(before), is.fileOf(after)];
  if (one === null || other === null || one === other) return one === other;
  const arePrivate = before.data === DATA_PRIVATE && after.data === DATA_PRIVATE;
  if (arePrivate && before.ino === after.ino && isSame(privateName(after.ino), other)) return true;
  return sameBytes(one, other);
}

function sameBytes(one: string, other: string): boolean {
  const files = [one, other].map((file) => openSync(file, 'r'));
  const pieces = files.map(() => Buffer.alloc(PIECE));
  try {
    for (;;) {
      const [a, b] = files.map((fd, i) =>
        pieces[i]!.subarray(0, readSync(fd, pieces[i]!, 0, PIECE, null)),
      );
      if (!a!.equals(b!)) return false;
      if (a!.length === 0) return true;
    }
  } finally {
    for (const fd of files) closeSync(fd);
  }
}

/** What one env shows. */
class Side {
  readonly #store: Store;
  readonly #directory: string;
  readonly #lower: LowerTree;
  readonly #view: DeltaView | null;

  private constructor(store: Store, row: EnvRow, view: DeltaView | null) {
    this.#store = store;
    this.#directory = envDir(store.root, row.id);
    this.#lower = store.lowerTree(store.resolveStack(row));
    this.#view = view;
  }

  static async open(store: Store, row: EnvRow): Promise<Side> {
    const directory = envDir(store.root, row.id);
    return new Side(store, row, existsSync(directory) ? await readDelta(directory) : null);
  }

  async close(): Promise<void> {
    await this.#view?.close();
  }

  changed(): string[] {
    if (this.#view === null) return [];
    return pathsChangedIn(this.#view, this.#lower).map((change) => change.path);
  }

  /** Returns what is at a path, which is a binary string; null if nothing is. Symlinks are not followed. */
  at(full: string): InodeRecord | null {
    let ino: Ino = ROOT_INO;
    for (const name of full.split('/').filter((each) => each !== '')) {
      const next = this.#child(ino, name as Name);
      if (next === null) return null;
      ino = next;
    }
    const record = this.#view?.inode(ino) ?? this.#lower.inode(ino);
    return record !== null && record.data === DATA_PRIVATE ? this.#asIs(record) : record;
  }

  #child(dir: Ino, name: Name): Ino | null {
    const own = this.#view?.name(dir, name) ?? null;
    if (own !== null) return own.ino === 0 ? null : own.ino;
    return this.#lower.lookup(dir, name)?.ino ?? null;
  }

  /** Size and times of a private file are those of the file. */
  #asIs(record: InodeRecord): InodeRecord {
    const file = this.#privateFile(record.ino);
    if (native.statAt(AT_FDCWD, file, stat, AT_SYMLINK_NOFOLLOW) < 0) return record;
    return {
      ...{ ...record, size: stat[STAT.size]! },
      ...{ mtime: stat[STAT.mtime]!, mtimeNs: stat[STAT.mtimeNs]! },
    };
  }

  #privateFile(ino: Ino): string {
    return path.join(this.#directory, PRIVATE_DIR, privateName(ino));
  }

  /** Returns the file that has the bytes of a regular file; null if it has none. */
  fileOf({ ino, data, object }: InodeRecord): string | null {
    if (data === DATA_PRIVATE) {
      const file = this.#privateFile(ino);
      return existsSync(file) ? file : null;
    }
    return data === DATA_OBJECT && object !== '' ? this.#store.objects.path(object) : null;
  }
}
