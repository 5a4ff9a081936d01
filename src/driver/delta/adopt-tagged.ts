import path from 'node:path';
import { type Ino, isPrivateIno, type Name } from '../../base/ids.ts';
import { isDir, isReg, S_IFDIR, S_IFMT, S_IFREG } from '../../base/mode.ts';
import { EMPTY_DIRECTORY, emptyRecord } from '../../codec/empty-record.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { native } from '../../native/binding.ts';
import { emptyBlobStat } from '../core/blob-stat.ts';
import type { Change, DirEntryRef } from '../core/ports.ts';
import type { EnvDelta } from './env-delta.ts';
import { PRIVATE_DIR, privateName } from './layout.ts';
import { decodeTag, type NameTag, NOT_YET, TAG_XATTR, type TaggedDir } from './name-tag.ts';

/** A private file with a tag of an earlier boot, for a change that the journal has lost. */
export interface TaggedPrivate {
  readonly ino: Ino;
  readonly tag: NameTag;
}

const stat = emptyBlobStat();

/**
 * Returns those of the given private files whose names the journal lost in a power cut, oldest first.
 * @param boot number of the present boot: the journal has whatever was tagged in it
 * @param sequence the last change that the journal has
 */
export function lostNames(
  envDir: string,
  inos: Iterable<Ino>,
  boot: number,
  sequence: number,
): TaggedPrivate[] {
  const found: TaggedPrivate[] = [];
  for (const ino of inos) {
    const tag = readTag(envDir, ino);
    if (tag === null || tag.boot === boot) continue;
    if (tag.sequence === NOT_YET || tag.sequence > sequence) found.push({ ino, tag });
  }
  const order = ({ tag }: TaggedPrivate): number => tag.sequence || Number.MAX_SAFE_INTEGER;
  return found.sort((a, b) => order(a) - order(b));
}

/** Returns the name tag of a private file, or null if it has none that can be read. */
export function readTag(envDir: string, ino: Ino): NameTag | null {
  const bytes = native.getXattr(pathOf(envDir, ino), TAG_XATTR);
  return typeof bytes === 'number' ? null : decodeTag(bytes);
}

/** Removes the name tag of a private file. Returns 0 or -errno. */
export const removeTag = (envDir: string, ino: Ino): number =>
  native.removeXattr(pathOf(envDir, ino), TAG_XATTR);

const pathOf = (envDir: string, ino: Ino): string =>
  path.join(envDir, PRIVATE_DIR, privateName(ino));

/**
 * Gives private files the names back that their tags say, one change each. Returns the files that now have a
 * record.
 *
 * Whatever else is lost (other names, links, attributes of directories) was never synced: the tree is that of the
 * last change in the journal, with these files in it. If this is cut short, it can be done again.
 */
export function adopt(delta: EnvDelta, lost: readonly TaggedPrivate[]): Ino[] {
  const adopted: Ino[] = [];
  for (const one of lost) {
    const change = delta.begin();
    if (!adoptOne(delta, change, one)) continue;
    if (delta.commit() < 0) break;
    adopted.push(one.ino);
  }
  return adopted;
}

function adoptOne(delta: EnvDelta, change: Change, { ino, tag }: TaggedPrivate): boolean {
  const known = delta.inode(ino);
  if (known !== null && !isReg(known.mode)) return false;
  // A tag that was not brought up to date says less than the record.
  if (known?.data === DATA_PRIVATE && tag.sequence === NOT_YET) return false;
  // A tag without names means that the journal has them. If the names were removed there, they stay removed: a file gets one
  // after it had none only if it was made without.
  if (!known?.nlink && (tag.places.length === 0 || (known && tag.sequence === NOT_YET)))
    return false;
  if (delta.files.statPrivate(ino, stat) < 0) return false;
  const dirs = new Map<Ino, InodeRecord>();
  for (const dir of tag.dirs) makeDir(delta, change, dirs, dir);
  const places = tag.places.filter(({ dir }) => isThere(delta, dirs, dir));
  if (!known?.nlink && places.length === 0) return false;
  if (known?.nlink === 1 && places.length > 0) {
    for (const { dir, name } of delta.namesOf(ino)) change.setName(dir, name, 0, 0);
  }
  for (const place of places) take(delta, change, dirs, place, ino);
  change.setInode(recordOf(known, ino, tag, places.length));
  return true;
}

/** Returns true if names can be in the directory: a template's one, or one that the env has or gets back. */
function isThere(delta: EnvDelta, dirs: ReadonlyMap<Ino, InodeRecord>, dir: Ino): boolean {
  const record = dirs.get(dir) ?? delta.inode(dir);
  return record === null ? !isPrivateIno(dir) : record.nlink > 0;
}

function makeDir(
  delta: EnvDelta,
  change: Change,
  dirs: Map<Ino, InodeRecord>,
  { ino, dir, name, mode, uid, gid }: TaggedDir,
): void {
  if (delta.inode(ino) !== null || !isThere(delta, dirs, dir)) return;
  const free = freeName(delta, dir, name, ino);
  change.setName(dir, free, ino, S_IFDIR);
  const record = { ...emptyRecord(ino), mode, uid, gid, ...EMPTY_DIRECTORY };
  put(change, dirs, { ...record, ...timesOf(), parent: dir, name: free });
  const parent = dirs.get(dir) ?? delta.inode(dir);
  if (parent === null) return;
  // A template's directory is counted again; one of the env's own has no count other than this.
  const counted = isPrivateIno(dir) ? { nlink: parent.nlink + 1 } : { stamp: 0 };
  put(change, dirs, { ...parent, ...counted });
}

function put(change: Change, dirs: Map<Ino, InodeRecord>, record: InodeRecord): void {
  dirs.set(record.ino, record);
  change.setInode(record);
}

/**
 * Makes the name lead to the file. A file that the journal has under the name was either replaced, or renamed (as
 * when logs are rotated) and its new name is lost. Which of the two cannot be told, so it is kept under a name
 * that says its inode. A directory keeps its own name, and the file gets such a name instead.
 */
function take(
  delta: EnvDelta,
  change: Change,
  dirs: ReadonlyMap<Ino, InodeRecord>,
  { dir, name }: DirEntryRef,
  ino: Ino,
): void {
  const there = dirs.has(dir) ? null : delta.name(dir, name);
  const other = there === null || there.ino === 0 || there.ino === ino ? null : there.ino;
  const record = other === null ? null : delta.inode(other);
  if (record !== null && isDir(record.mode)) {
    change.setName(dir, freeName(delta, dir, name, ino), ino, S_IFREG);
    return;
  }
  if (record !== null) {
    change.setName(
      dir,
      freeName(delta, dir, name, record.ino, true),
      record.ino,
      record.mode & S_IFMT,
    );
  }
  change.setName(dir, name, ino, S_IFREG);
}

/** Returns the name; or, if the env has something else under it or it `isTaken`, a name that says the inode. */
function freeName(delta: EnvDelta, dir: Ino, name: Name, ino: Ino, isTaken = false): Name {
  const there = delta.name(dir, name);
  if (!isTaken && (there === null || there.ino === 0 || there.ino === ino)) return name;
  const end = `.${privateName(ino)}`;
  return `${name.slice(0, 255 - end.length)}${end}` as Name;
}

function recordOf(
  known: InodeRecord | null,
  ino: Ino,
  { file }: NameTag,
  names: number,
): InodeRecord {
  const { mode, uid, gid, flags, object, xattrs } = file;
  const before = known ?? { ...emptyRecord(ino), ...timesOf() };
  const base = { ...before, nlink: known?.nlink || names };
  const own = {
    data: DATA_PRIVATE,
    flags,
    object,
    baseCtime: stat.ctime,
    baseCtimeNs: stat.ctimeNs,
  };
  return { ...base, mode, uid, gid, xattrs, ...own };
}

/** Returns the times of the private file in `stat`. */
const timesOf = (): Partial<InodeRecord> => ({
  atime: stat.atime,
  atimeNs: stat.atimeNs,
  mtime: stat.mtime,
  mtimeNs: stat.mtimeNs,
  ctime: stat.ctime,
  ctimeNs: stat.ctimeNs,
});
