/**
 * Sets files of an env aside for a patch. They are moved to a hidden directory of the delta, which no path leads
 * to, and can be put back. Nothing is copied, and programs that have them open keep using them.
 *
 *   SAVED_INO / p<patch> / d<directory ino, hex> / <name>
 *
 * Each action is one change of the journal: it is made as a whole or not at all. An action names the inode that it
 * expects under the name. So an action that was made before, or whose file the env has replaced since, does nothing
 * when it is tried (again).
 */
import { invariant } from '../../base/assert.ts';
import { EBUSY, ENOENT } from '../../base/errno.ts';
import { type Ino, type Name, PRIVATE_INO_BASE, ROOT_INO } from '../../base/ids.ts';
import { isDir, isReg, S_IFDIR, S_IFMT } from '../../base/mode.ts';
import { DATA_PRIVATE, FLAG_KEPT, type InodeRecord } from '../../codec/inode-record.ts';
import { decodeSteps } from '../../codec/steps.ts';
import { emptyBlobStat } from './blob-stat.ts';
import type { Core } from './core.ts';
import { newRecord } from './create.ts';
import { touchedOnly } from './follow.ts';
import { reclaim } from './lookup.ts';
import { countAgain, isOwnElsewhere } from './names.ts';
import { inodesOpenForWriting } from './open-for-writing.ts';
import { namesIn } from './own-names.ts';
import type { BlobStat, Delta, DirEntryRef, LowerTree } from './ports.ts';
import { makeSteps } from './steps/make.ts';

/** The root of the hidden tree. It has no inode record; the envs' own inos begin right above it. */
export const SAVED_INO = PRIVATE_INO_BASE as Ino;

/** Makes all steps (codec/steps.ts) of a file, given by its name in the env's directory. */
export interface StepsAction {
  readonly what: 'steps';
  readonly file: string;
}

/** One change that a patch makes to an env's own files. */
export type EnvAction = NameAction | StepsAction;

/** A private file's attributes at the time it was looked at. */
export type SeenFile = Pick<BlobStat, 'size' | 'mtime' | 'mtimeNs' | 'ctime' | 'ctimeNs'>;

/**
 * An action on one name. take: sets the name's file aside, so that the templates' one shows. replace: sets it aside
 * and puts a prepared file in its place. restore: puts a file that was set aside back under its name. discard:
 * gives up a file that was set aside.
 */
export interface NameAction extends DirEntryRef {
  readonly what: 'take' | 'replace' | 'restore' | 'discard';
  /** The patch for which the file is, or was, set aside. */
  readonly patch: number;
  /**
   * take, replace: the inode that the name has. restore: the inode that it has by now, or 0 if none of the env's
   * own.
   */
  readonly ino: Ino | 0;
  /** replace: the prepared file, by its name in the env's directory. */
  readonly file: string | null;
  /** replace, restore: what the outgoing private file must still look like; null if it does not matter. */
  readonly seen: SeenFile | null;
  /** replace, restore: if false, the outgoing file is not set aside. */
  readonly save?: false;
}

/** The result of one action. */
export interface EnvActionResult {
  /**
   * The result: 0, or -errno. -ENOENT if the name has another file than expected, -EBUSY if it was written to
   * meanwhile.
   */
  readonly error: number;
  /** replace: the inode of the prepared file. */
  readonly ino: Ino | 0;
  /** steps: the number left out, because the env had changed the name meanwhile. */
  readonly left?: number;
}

interface SavedPlace extends DirEntryRef {
  readonly patch: number;
}

/** A file that is set aside, with the patch and the place it came from. */
export interface SavedFile extends SavedPlace {
  readonly ino: Ino;
}

const blobStat = emptyBlobStat();

/**
 * Makes one action in the env, as one change of the journal (steps: several).
 * @param lower the lower tree that the env sees afterwards
 * @param touched receives the places that may now show something else
 */
export function act(
  core: Core,
  lower: LowerTree,
  wanted: EnvAction,
  touched: DirEntryRef[],
): EnvActionResult {
  if (wanted.what === 'steps') return steps(core, lower, wanted, touched);
  touched.push({ dir: wanted.dir, name: wanted.name });
  switch (wanted.what) {
    case 'take':
      return { error: take(core, lower, wanted), ino: 0 };
    case 'replace':
      return replace(core, wanted);
    case 'restore':
      return { error: restore(core, wanted), ino: 0 };
    case 'discard':
      return { error: discard(core, wanted), ino: 0 };
  }
}

function steps(
  core: Core,
  lower: LowerTree,
  { file }: StepsAction,
  touched: DirEntryRef[],
): EnvActionResult {
  const bytes = core.blobs.readPrepared(file);
  // The file is removed once all of its steps were made.
  if (bytes === -ENOENT) return { error: 0, ino: 0, left: 0 };
  if (typeof bytes === 'number') return { error: bytes, ino: 0 };
  return { ...makeSteps(core, lower, decodeSteps(bytes), touched), ino: 0 };
}

function take(core: Core, lower: LowerTree, wanted: NameAction): number {
  const own = core.delta.name(wanted.dir, wanted.name);
  if (own === null || own.ino === 0 || own.ino !== wanted.ino || isDir(own.type)) {
    return isSaved(core, wanted) ? 0 : -ENOENT;
  }
  const below = lower.lookup(wanted.dir, wanted.name);
  // The file that would show is the env's own already: it is this very file, or the env has it elsewhere.
  if (below !== null && isOwnElsewhere(core, wanted, below)) return -EBUSY;
  core.tx.begin();
  setAside(core, wanted, own.ino, own.type);
  core.tx.clearName(wanted.dir, wanted.name);
  // The templates may have a directory there.
  countAgain(core, wanted.dir);
  return core.tx.commit();
}

function replace(core: Core, wanted: NameAction): EnvActionResult {
  const failed = (error: number): EnvActionResult => ({ error, ino: 0 });
  const own = core.delta.name(wanted.dir, wanted.name);
  if (own === null || own.ino === 0 || own.ino !== wanted.ino || wanted.file === null) {
    return isSaved(core, wanted) ? { error: 0, ino: own?.ino ?? 0 } : failed(-ENOENT);
  }
  const inode = core.inodes.load(own.ino);
  if (inode === null || !isReg(inode.record.mode)) return failed(-ENOENT);
  if (isWritten(core, own.ino) || !isAsSeen(core, own.ino, wanted.seen)) return failed(-EBUSY);
  const ino = core.delta.allocate();
  const adopted = core.blobs.adoptPrivate(wanted.file, ino);
  if (adopted < 0) return failed(adopted);
  // A crash here leaves a private file that no record names. Recovery sweeps it, and the action is made again.
  const { mode, uid, gid, xattrs } = inode.record;
  // A record of dpkg's that is updated keeps its FLAG_KEPT, as before.
  const flags = wanted.save === false ? inode.record.flags & FLAG_KEPT : 0;
  core.tx.begin();
  core.tx.setNew(rootsOwn(core, ino, { data: DATA_PRIVATE, mode, uid, gid, xattrs, flags }));
  if (wanted.save !== false) setAside(core, wanted, own.ino, own.type);
  core.tx.setName(wanted.dir, wanted.name, ino, own.type);
  const error = wanted.save === false ? commitWithout(core, own.ino) : core.tx.commit();
  if (error < 0) core.blobs.removePrivate(ino);
  return error < 0 ? failed(error) : { error: 0, ino };
}

function restore(core: Core, wanted: NameAction): number {
  const saved = savedName(core.delta, wanted);
  const own = core.delta.name(wanted.dir, wanted.name);
  if (saved === null) return own !== null && own.ino !== 0 && own.ino !== wanted.ino ? 0 : -ENOENT;
  const isFree = wanted.ino === 0 && isTouched(core, wanted);
  if (!isFree && ((own?.ino ?? 0) !== wanted.ino || own?.ino === 0)) return -EBUSY;
  if (own !== null && (isWritten(core, own.ino) || !isAsSeen(core, own.ino as Ino, wanted.seen))) {
    return -EBUSY;
  }
  core.tx.begin();
  forgetSaved(core, wanted);
  core.tx.setName(wanted.dir, wanted.name, saved.ino, saved.type);
  countAgain(core, wanted.dir);
  return own === null ? core.tx.commit() : commitWithout(core, own.ino as Ino);
}

function discard(core: Core, wanted: NameAction): number {
  const saved = savedName(core.delta, wanted);
  if (saved === null) return -ENOENT;
  core.tx.begin();
  forgetSaved(core, wanted);
  return commitWithout(core, saved.ino as Ino);
}

/** Commits with one link of the inode less; the inode is freed if that was its last and no program has it open. */
function commitWithout(core: Core, ino: Ino): number {
  const inode = core.inodes.load(ino);
  if (inode === null) return core.tx.commit();
  core.tx.set(inode, { ...inode.record, nlink: inode.record.nlink - 1 });
  const error = core.tx.commit();
  if (error === 0) reclaim(core, inode);
  return error;
}

/** Gives the inode another name, in the hidden directory of its patch and place. In the open transaction. */
function setAside(core: Core, { patch, dir, name }: NameAction, ino: Ino | 0, type: number): void {
  const ofPatch = savedDir(core, SAVED_INO, patchName(patch));
  core.tx.setName(savedDir(core, ofPatch, dirName(dir)), name, ino, type & S_IFMT);
}

/** Returns a directory of the hidden tree, and makes it, in the open transaction, if it is missing. */
function savedDir(core: Core, parent: Ino, name: Name): Ino {
  const there = core.delta.name(parent, name);
  if (there !== null && there.ino !== 0) return there.ino;
  const record = rootsOwn(core, core.delta.allocate(), {
    mode: S_IFDIR | 0o700,
    nlink: 2,
    parent,
    name,
  });
  core.tx.setNew(record);
  core.tx.setName(parent, name, record.ino, S_IFDIR);
  return record.ino;
}

/** Returns a record that no request asked for: owned by root, made now. */
function rootsOwn(core: Core, ino: Ino, own: Partial<InodeRecord>): InodeRecord {
  const root = core.inodes.load(ROOT_INO);
  invariant(root !== null, 'there is a root directory');
  return newRecord(core, root, ino, own.mode ?? 0, 0, { uid: 0, gid: 0, xattrs: null, ...own });
}

/** Removes the name, and directories that are empty without it, in the open transaction. */
function forgetSaved(core: Core, { patch, dir, name }: SavedPlace): void {
  const ofPatch = core.delta.name(SAVED_INO, patchName(patch))?.ino as Ino;
  const ofDir = core.delta.name(ofPatch, dirName(dir))?.ino as Ino;
  core.tx.clearName(ofDir, name);
  if (core.delta.list(ofDir, 0, 2).length > 1) return;
  core.tx.clearName(ofPatch, dirName(dir));
  core.tx.forget(ofDir);
  if (core.delta.list(ofPatch, 0, 2).length > 1) return;
  core.tx.clearName(SAVED_INO, patchName(patch));
  core.tx.forget(ofPatch);
}

function savedName(delta: SavedNames, { patch, dir, name }: SavedPlace) {
  const ofPatch = delta.name(SAVED_INO, patchName(patch));
  const ofDir = ofPatch && delta.name(ofPatch.ino as Ino, dirName(dir));
  const saved = ofDir && delta.name(ofDir.ino as Ino, name);
  return saved === null || saved.ino === 0 ? null : saved;
}

/** Returns true if the action was already made. */
const isSaved = (core: Core, wanted: NameAction): boolean =>
  savedName(core.delta, wanted)?.ino === wanted.ino;

const patchName = (patch: number): Name => `p${patch}` as Name;
const dirName = (dir: Ino): Name => `d${dir.toString(16)}` as Name;

/** Yields every file that is set aside, oldest patch first. */
export function* savedFiles(delta: SavedNames): Generator<SavedFile> {
  const patches = [...entries(delta, SAVED_INO)].map(({ name, ino }) => ({
    patch: Number(name.slice(1)),
    ino,
  }));
  for (const ofPatch of patches.sort((a, b) => a.patch - b.patch)) {
    for (const ofDir of entries(delta, ofPatch.ino)) {
      const dir = Number.parseInt(ofDir.name.slice(1), 16) as Ino;
      for (const { name, ino } of entries(delta, ofDir.ino)) {
        yield { patch: ofPatch.patch, dir, name, ino };
      }
    }
  }
}

/**
 * Puts files that were set aside back under their names, where the lower tree that the env is about to see has
 * that very file. The env changed it when it saw that version before, and one inode cannot be both the template's
 * and the env's.
 * @returns the names that lead elsewhere now
 */
export function releaseSaved(core: Core, lower: LowerTree): DirEntryRef[] {
  const changed: DirEntryRef[] = [];
  for (const { patch, dir, name, ino } of [...savedFiles(core.delta)]) {
    const own = core.delta.name(dir, name);
    const isFree = own === null || isTouched(core, { dir, name });
    const record = isFree ? lower.lookup(dir, name) : null;
    if (record === null || !isOwnElsewhere(core, { dir, name }, record)) continue;
    if (own !== null && record.ino !== ino) continue;
    core.tx.begin();
    if (record.ino === ino) {
      forgetSaved(core, { patch, dir, name });
      core.tx.setName(dir, name, ino, record.mode & S_IFMT);
    } else {
      // The env has the file under another name.
      core.tx.setName(dir, name, 0, 0);
    }
    countAgain(core, dir);
    const error = own === null ? core.tx.commit() : commitWithout(core, own.ino as Ino);
    if (error === 0) changed.push({ dir, name });
  }
  return changed;
}

/** The part of a delta that is needed to list what is set aside. */
export type SavedNames = Pick<Delta, 'name' | 'list'>;

function* entries(delta: SavedNames, dir: Ino): Generator<{ name: Name; ino: Ino }> {
  for (const { name, ino } of namesIn(delta, dir)) if (ino !== 0) yield { name, ino };
}

/** Returns true for a template's file of which the env has set only attributes: such a file may give way. */
const isTouched = (core: Core, { dir, name }: DirEntryRef): boolean =>
  touchedOnly(core, { dir, name, was: null, is: null }) !== null;

/** Returns true if a program has the file open for writing: what it writes would be missed. */
const isWritten = (core: Core, ino: Ino | 0): boolean =>
  ino !== 0 && inodesOpenForWriting(core).has(ino);

function isAsSeen(core: Core, ino: Ino, seen: SeenFile | null): boolean {
  if (seen === null) return true;
  if (core.blobs.statPrivate(ino, blobStat) < 0) return false;
  return (
    seen.size === blobStat.size &&
    seen.mtime === blobStat.mtime &&
    seen.mtimeNs === blobStat.mtimeNs &&
    seen.ctime === blobStat.ctime &&
    seen.ctimeNs === blobStat.ctimeNs
  );
}
