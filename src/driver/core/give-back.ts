/**
 * Gives a private copy back that nothing was written to.
 *
 * An open for writing copies a template's file up, because the kernel makes passthrough writes by itself. When the
 * last such open is closed and nothing was written, the copy goes again, with the record and the names that came
 * with it: the file is the template's, as before (docs/internals/adr/0026).
 *
 * How we know that nothing was written:
 * - What comes to this process (writes without passthrough, truncation, allocation, times, attributes, names)
 *   clears `Inode.copied` at once.
 * - A passthrough write by the kernel changes the private file's mtime, which was set to the template's, a past
 *   time. Only a request can set it back.
 * - A shared mapping outlives its descriptor, and can be written to at any time. So the copy stays as long as
 *   anything has the private file open or mapped (Blobs.isUnused), and is examined only after that.
 */
import { failpoint } from '../../base/failpoints.ts';
import type { Ino } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import { FLAG_UNSYNCED, type InodeRecord } from '../../codec/inode-record.ts';
import { emptyBlobStat } from './blob-stat.ts';
import type { Core } from './core.ts';
import { follow, leftAt } from './follow.ts';
import type { CopyUp, Inode } from './inode.ts';
import { countAgain, isOwnElsewhere } from './names.ts';
import type { DirEntryRef, LowerTree } from './ports.ts';

/**
 * The outcome of one attempt. 'done': the copy is given back, or will stay. 'open': a close, or the kernel's last
 * forget, is still to come, and is the next moment to try. 'later': there may be no further event, so it is tried
 * again by timer.
 */
type Given = 'done' | 'open' | 'later';

/** How long a restarted path walk may take on a very busy machine; as in recent-flip.ts. */
const WALK_MS = 5_000;

const blobStat = emptyBlobStat();

/** Gives the inode's copy back if nothing was written to it and nothing can be. */
export function giveBack(core: Core, inode: Inode): Given {
  const { copied } = inode;
  const given = copied === null ? 'done' : tryToGiveBack(core, inode, copied);
  if (given === 'done') inode.copied = null;
  if (given === 'later') core.unwritten.add(inode);
  else core.unwritten.drop(inode);
  return given;
}

function tryToGiveBack(core: Core, inode: Inode, copied: CopyUp): Given {
  if (inode.writers > 0 || inode.copying !== null) return 'open';
  if (!inode.inDelta || !inode.isPrivateData || inode.isUpper) return 'done';
  if (isWritten(core, inode, copied)) return 'done';
  if ((inode.backing?.opens ?? 0) > 0) return 'open';
  if (!core.lower.settled) return 'later';
  if (inode.first !== null && !canLoseSecond(inode)) return 'later';
  if (!isFree(core, inode)) return 'later';
  // Again, now that nothing can write any more.
  if (isWritten(core, inode, copied)) return 'done';
  if (!core.blobs.tellsStores && !hasOldBytes(core, inode, copied)) return 'done';
  return undo(core, inode, copied) < 0 ? 'later' : 'done';
}

/**
 * Returns true if the inode can go back to its first nodeid. Not while a program whose open was refused walks the
 * path once more: it would meet the template's file, perhaps with readers again, and be refused a second time,
 * which it would see.
 */
const canLoseSecond = ({ first, lookups, refused }: Inode): boolean =>
  (first?.lookups ?? 0) <= 0 && lookups <= 0 && Date.now() > refused + WALK_MS;

/**
 * Returns true if the private file differs from what the copy-up left. Times that do not count: atime, which a
 * read changes, and ctime, which our own tag changes.
 */
function isWritten(core: Core, inode: Inode, { old }: CopyUp): boolean {
  if (core.blobs.statPrivate(inode.ino, blobStat) < 0) return true;
  const { size, mtime, mtimeNs } = blobStat;
  return size !== old.size || mtime !== old.mtime || mtimeNs !== old.mtimeNs;
}

const hasOldBytes = (core: Core, { ino }: Inode, { old }: CopyUp): boolean =>
  old.size === 0 || (old.object !== '' && core.blobs.hasBytesOf(ino, old.object));

/**
 * Returns true if nothing uses the private file any more. Without passthrough every write comes to this process,
 * so the closes are proof enough.
 */
export function isFree(core: Core, inode: Inode): boolean {
  core.fds.drop(inode);
  if (core.passthrough === null) return true;
  if (inode.backing !== null) core.passthrough.release(inode.backing.id);
  inode.backing = null;
  core.noteInode(inode);
  return core.blobs.isUnused(inode.ino) === 0;
}

/** Result of an undo that must not be made: the copy stays. */
const STAYS = 1;

/**
 * Undoes the copy-up. Returns 0; STAYS; or -errno with nothing changed.
 *
 * Crash window: the record goes first, then the bytes; in between there is a private file that no record names,
 * which recovery sweeps. After a power cut the copy-up may be on disk without this change. Then the bytes must be
 * there too, unless the record says that they can be had from the object.
 */
function undo(core: Core, inode: Inode, copied: CopyUp): number {
  const known = core.delta.inode(inode.ino);
  if (known === null) return STAYS;
  const isRestorable = copied.old.size === 0 || (known.flags & FLAG_UNSYNCED) !== 0;
  const undone = copied.wasOwn
    ? undoOwn(core, inode, copied, known)
    : undoTemplates(core, inode, copied);
  if (undone !== 0) return undone;
  failpoint('copy-given-back');
  core.blobs.removePrivate(inode.ino, !isRestorable);
  inode.wasEmptied = false;
  inode.watched = null;
  // The kernel keeps no attributes of a file that may be mapped. Of other files, blocks and atime may differ now.
  if (!inode.mayBeMapped && inode.lookups > 0) void core.caches.expireAttributes(inode.node);
  inode.mayBeMapped = false;
  return 0;
}

/** Undoes the copy-up of a file for which the env already had a record of its own, with the object's bytes. */
function undoOwn(core: Core, inode: Inode, copied: CopyUp, known: InodeRecord): number {
  const { old, lower } = copied;
  // The store may not keep an object that neither this record nor a visible template names.
  const isKept = old.object === '' || known.object === old.object || isInView(core, inode.ino);
  if (!isKept) return STAYS;
  core.tx.begin().set(inode, old);
  const error = core.tx.commit();
  if (error === 0 && !isInView(core, inode.ino)) takeAlong(core, inode, lower);
  return error;
}

/** Takes the file to the version of a flip that came since the copy-up, with the attributes that the env has set. */
function takeAlong(core: Core, inode: Inode, before: LowerTree): void {
  const { names, inodes } = follow(core, core.lower, leftAt(core, core.delta.namesOf(inode.ino)));
  if (!inode.inDelta) {
    inode.gone = before;
    inode.record = { ...inode.record, nlink: 0 };
  }
  void core.caches.drop({ names, dirs: [], inodes: [...inodes, inode.ino] });
}

/** Returns true if a template has the file in the version that the env sees. */
const isInView = ({ lower }: Core, ino: Ino): boolean =>
  lower.names(ino).some(({ dir, name }) => lower.lookup(dir, name)?.ino === ino);

/** Undoes the copy-up of a file that was the template's. */
function undoTemplates(core: Core, inode: Inode, copied: CopyUp): number {
  const { ino } = inode;
  const { places } = copied;
  if (!places.every(({ dir, name }) => core.delta.name(dir, name)?.ino === ino)) return STAYS;
  const below = places.map(({ dir, name }) => core.lower.lookup(dir, name));
  const record = below.every((each) => each?.ino === ino) ? (below[0] ?? null) : null;
  if (record === null && !canLeave(core, inode, places, below)) return STAYS;
  core.tx.begin().forget(ino);
  for (const { dir, name } of places) {
    core.tx.clearName(dir, name);
    countAgain(core, dir, core.inodes.stampOf(dir));
  }
  const error = core.tx.commit();
  if (error < 0) return error;
  inode.inDelta = false;
  if (record !== null) inode.record = core.inodes.counted(record);
  else leave(core, inode, copied, below);
  return 0;
}

/**
 * Returns true if, after a flip that came since the copy-up, the new version's files can show under the names. The
 * inode then belongs to the old version, whose bytes may be gone from the store: so it must not be open.
 */
function canLeave(
  core: Core,
  inode: Inode,
  places: readonly DirEntryRef[],
  below: readonly (InodeRecord | null)[],
): boolean {
  if (inode.isOpen || inode.first !== null || isInView(core, inode.ino)) return false;
  return places.every((place, i) => {
    const record = below[i] ?? null;
    if (record === null) return core.lower.inode(place.dir) !== null;
    return !isDir(record.mode) && !isOwnElsewhere(core, place, record);
  });
}

/** Makes the inode one of the old version, as if the flip had found it without a copy. */
function leave(
  core: Core,
  inode: Inode,
  { old, places, lower }: CopyUp,
  below: readonly (InodeRecord | null)[],
): void {
  inode.gone = lower;
  inode.record = { ...old, nlink: 0 };
  for (const record of below) {
    const shown = record === null ? null : core.inodes.peek(record.ino);
    if (record === null || shown === null || shown.record.nlink > 0) continue;
    shown.gone = null;
    shown.record = core.inodes.counted(record);
  }
  const dirs = places.map(({ dir }) => ({
    ino: dir,
    parent: core.inodes.peek(dir)?.record.parent || dir,
  }));
  void core.caches.drop({ names: places, dirs, inodes: [inode.ino] });
}
