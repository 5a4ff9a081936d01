/** Makes steps that end what the env has of its own under a name, where its bytes are those of a template. */
import { type Ino, isPrivateIno, type Name } from '../../../base/ids.ts';
import { isDir, S_IFMT } from '../../../base/mode.ts';
import {
  DATA_PRIVATE,
  FLAG_KEPT,
  FLAG_UNSYNCED,
  type InodeRecord,
} from '../../../codec/inode-record.ts';
import { sameXattrs } from '../../../codec/same-inode.ts';
import type { Step } from '../../../codec/steps.ts';
import { stamp } from '../core.ts';
import { touchedOnly } from '../follow.ts';
import { isOwnElsewhere } from '../names.ts';
import { hasTemplateData, withOwnAttributes } from '../own-attributes.ts';
import type { DirEntryRef } from '../ports.ts';
import type { StepChange } from './change.ts';
import { setDressed } from './dress.ts';
import { letGo, usedAs } from './open-files.ts';
import { isCopyOrKept, withBytes } from './records.ts';

/**
 * Gives a name back to the templates whose file the env has a copy of, or which the env had removed. The copy must
 * be as the step's planner compared it.
 */
export function relink(change: StepChange, step: Step): boolean {
  const { core } = change;
  const { dir, name, ino } = step;
  const own = core.delta.name(dir, name);
  if (own === null) return change.isDone();
  if (own.ino !== ino) return false;
  if (ino === 0) {
    change.begin();
    change.clearName(dir, name);
    change.count(dir);
    return true;
  }
  const record = change.asCompared(ino, step);
  if (record === null) return false;
  const below = change.lower.lookup(dir, name);
  const isItself = below !== null && below.ino === ino;
  // The file that would show is the env's own under another name, or was removed by the env.
  if (below !== null && !isItself && isOwnElsewhere(core, step, below)) return false;
  if (isItself && record.nlink !== 1) return false;
  const used = usedAs(change, record, isItself, [below, core.lower.lookup(dir, name)]);
  if (used === null) return false;
  const elsewhere = otherVersionsElsewhere(change, step, ino);
  if (elsewhere === null) return false;
  change.begin();
  for (const other of elsewhere) change.conflicts.set(other.ino, other);
  change.clearName(dir, name);
  change.count(dir);
  if (isItself) {
    change.giveBack(below);
    if (record.data === DATA_PRIVATE) change.bytesGone.push(ino);
  } else letGo(change, record, used);
  return true;
}

/**
 * Turns the env's copy into the template's file with the env's attributes: from then on it follows the templates
 * as if it was never copied.
 */
export function share(change: StepChange, step: Step): boolean {
  const { core } = change;
  const { dir, name, ino } = step;
  const own = core.delta.name(dir, name);
  const like = core.lower.everFile(dir, name, step.like ?? (0 as Ino));
  if (own === null || own.ino === like?.ino) {
    const record = own === null ? null : core.delta.inode(own.ino as Ino);
    if (record === null || !isCopyOrKept(record)) return change.isDone();
  }
  if (own?.ino !== ino || ino === 0 || like === null) return false;
  const compared = change.asCompared(ino, step);
  const record = compared ?? change.withBytesOf(ino, like);
  // In a directory that another template hides from now on, nothing shows.
  const isHidden = core.inodes.isHidden(dir, change.lower);
  const is = isHidden ? null : change.lower.lookup(dir, name);
  if (record === null || !isCopyOrKept(record) || (is !== null && isDir(is.mode))) return false;
  if (record.nlink !== 1 || (is !== null && is.nlink !== 1))
    return shareLinked(change, step, record, like, is, compared !== null);
  const isItself = is?.ino === ino;
  const isCopy = record.data === DATA_PRIVATE;
  if (is !== null && !isItself && isOwnElsewhere(core, step, is)) return false;
  const used = usedAs(change, record, isItself, [like], compared !== null);
  if (used === null) return false;
  const elsewhere = otherVersionsElsewhere(change, step, ino);
  if (elsewhere === null) return false;
  const kept = withBytes(record, like, isCopy ? change.blobStat : record);
  const next = is === null ? null : withOwnAttributes(like, kept, is, stamp(core));
  change.begin();
  for (const other of elsewhere) change.conflicts.set(other.ino, other);
  change.cleared.add(`${dir} ${name}`);
  if (next === null) change.clearName(dir, name);
  else core.tx.setName(dir, name, next.ino, next.mode & S_IFMT);
  if (isItself) {
    if (isCopy) change.bytesGone.push(ino);
    change.giveBack(is, next);
    return true;
  }
  if (next !== null) change.come(next);
  letGo(change, record, used);
  return true;
}

/** Does what share() does, for a file that has several names in the env or in the templates. */
function shareLinked(
  change: StepChange,
  step: Step,
  record: InodeRecord,
  like: InodeRecord,
  is: InodeRecord | null,
  isCompared: boolean,
): boolean {
  if (record.ino === like.ino)
    return shareInPlace(change, record, like, is?.ino === record.ino, isCompared);
  // Links the name to the template's file again, as when dpkg has unpacked the version.
  if (record.nlink !== 1 || is === null || is.ino === like.ino) return false;
  if (isOwnElsewhere(change.core, step, is)) return false;
  const next = withOwnAttributes(like, withBytes(record, like, like), is, stamp(change.core));
  // One file can't have the attributes of several names: those that follow come before this one, and so do those set before.
  const isSettled = followsOtherwise(change, step, is, next);
  const dressed = isSettled ? null : change.dressed.get(is.ino);
  const isPlain = dressed === null || (dressed === undefined && next === null);
  const elsewhere = isPlain ? otherVersionsElsewhere(change, step, record.ino) : [];
  if (elsewhere === null) return false;
  change.begin();
  for (const other of elsewhere) change.conflicts.set(other.ino, other);
  if (isPlain) {
    if (!isSettled) change.dressed.set(is.ino, null);
    change.clearName(step.dir, step.name);
    change.count(step.dir);
    change.loseName(record);
  } else if (dressed) join(change, step, record, dressed);
  else {
    const set = setDressed(change, step, next!);
    if (set !== null) change.dressed.set(is.ino, set);
  }
  return true;
}

/** Gives a name to a file that this change has set under its other names. */
function join(
  change: StepChange,
  { dir, name }: DirEntryRef,
  record: InodeRecord,
  dressed: InodeRecord,
): void {
  const joined = { ...dressed, nlink: dressed.nlink + 1 };
  change.loseName(record);
  change.touched.push({ dir, name });
  change.core.tx.setName(dir, name, joined.ino, joined.mode & S_IFMT);
  change.cleared.add(`${dir} ${name}`);
  change.setRecord(joined);
  change.dressed.set(joined.ino, joined);
}

/**
 * Returns true if the flip will bring the file to another of its names with other attributes: those of a file there of which the
 * env has set attributes only.
 */
function followsOtherwise(
  { core, lower, shared }: StepChange,
  { dir, name }: DirEntryRef,
  is: InodeRecord,
  next: InodeRecord | null,
): boolean {
  const delta = {
    name: (of: Ino, at: Name) => core.delta.name(of, at),
    inode: (ino: Ino) => shared.get(ino) ?? core.delta.inode(ino),
  };
  return lower.names(is.ino).some((place) => {
    if (place.dir === dir && place.name === name) return false;
    const was = touchedOnly({ delta, lower: core.lower }, { ...place, was: null, is: null });
    const own = was === null ? null : delta.inode(was.ino);
    return own !== null && !isAlike(withOwnAttributes(was!, own, is, stamp(core)), next);
  });
}

/** Compares the attributes of two records of one file; null is the template's. */
function isAlike(a: InodeRecord | null, b: InodeRecord | null): boolean {
  if (a === null || b === null) return a === b;
  const isOwner = a.uid === b.uid && a.gid === b.gid && a.mode === b.mode;
  const isTime = a.mtime === b.mtime && a.mtimeNs === b.mtimeNs;
  return isOwner && isTime && sameXattrs(a.xattrs, b.xattrs);
}

/** Shares the bytes but leaves the names the env's: at a flip, all of them follow (follow.ts). */
function shareInPlace(
  change: StepChange,
  record: InodeRecord,
  like: InodeRecord,
  isItself: boolean,
  isCompared: boolean,
): boolean {
  if (change.shared.has(record.ino)) return change.isDone();
  const used = usedAs(change, record, isItself, [like], isCompared);
  if (used === null) return false;
  const { delta, lower } = change.core;
  // At other names it is the env's own, and stays.
  const follows = ({ dir, name }: DirEntryRef): boolean =>
    !isPrivateIno(dir) && lower.everFile(dir, name, record.ino) !== null;
  const names = isItself ? [] : delta.namesOf(record.ino).filter(follows);
  const elsewhere = names.map((place) => otherVersionsElsewhere(change, place, record.ino));
  if (elsewhere.includes(null)) return false;
  const isCopy = record.data === DATA_PRIVATE;
  const shared = withBytes(record, like, isCopy ? change.blobStat : record);
  const own = { ...shared, flags: record.flags & ~(FLAG_KEPT | FLAG_UNSYNCED) };
  change.begin();
  for (const other of elsewhere.flatMap((each) => each ?? []))
    change.conflicts.set(other.ino, other);
  if (isCopy) change.bytesGone.push(record.ino);
  change.shared.set(record.ino, own);
  change.giveBack(like, own);
  return true;
}

/**
 * Returns true for a file of which the env has set attributes only, and that the flip takes along from some of its names and leaves
 * at none as the template's (follow.ts): what is left of it gets a number of its own there.
 */
function goesAlong({ core, lower, cleared }: StepChange, record: InodeRecord): boolean {
  const { ino } = record;
  const names = core.delta
    .namesOf(ino)
    .filter(({ dir, name }) => !cleared.has(`${dir} ${name}`) && !isPrivateIno(dir));
  if (names.some(({ dir, name }) => lower.lookup(dir, name)?.ino === ino)) return false;
  return names.some((place) => {
    const { dir, name } = place;
    const was = core.lower.everFile(dir, name, ino);
    if (was === null || !hasTemplateData(record, was)) return false;
    const is = core.inodes.isHidden(dir, lower) ? null : lower.lookup(dir, name);
    return is === null || !isOwnElsewhere(core, place, is);
  });
}

/**
 * Returns the inodes that other versions have under a name and that the env has elsewhere: as dpkg's status-old
 * is the earlier status file. Once the name is the templates' again, such a version would show one inode in two
 * places. Null if that cannot be resolved now.
 */
function otherVersionsElsewhere(
  change: StepChange,
  { dir, name }: DirEntryRef,
  own: Ino,
): InodeRecord[] | null {
  const { core } = change;
  const inos = new Set(core.lower.everAt(dir, name).map(({ ino }) => ino));
  inos.delete(own);
  const found: InodeRecord[] = [];
  for (const ino of inos) {
    const changed = change.shared.get(ino) ?? change.losing.get(ino)?.record;
    // It has just lost its last name.
    if (changed === undefined && change.bytesGone.includes(ino)) continue;
    const record = changed ?? core.delta.inode(ino);
    if (record === null || isDir(record.mode) || record.nlink === 0) continue;
    if (goesAlong(change, record)) continue;
    if (record.data === DATA_PRIVATE || core.inodes.peek(ino)?.isOpen === true) return null;
    if (change.movedInos.has(ino)) return null;
    found.push(record);
  }
  return found;
}
