import { EDQUOT, EINTR, EIO, ENOENT, ESTALE } from '../../base/errno.ts';
import { isPrivateIno, type ObjectId } from '../../base/ids.ts';
import {
  BLOCK_BYTES,
  DATA_NONE,
  DATA_OBJECT,
  DATA_PRIVATE,
  FLAG_UNSYNCED,
  type InodeRecord,
} from '../../codec/inode-record.ts';
import { emptyBlobStat } from './blob-stat.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { isFixed, namesToPin, pin } from './names.ts';
import type { DirEntryRef } from './ports.ts';

const blobStat = emptyBlobStat();

/**
 * Gives a regular file a private copy of its first `length` bytes, before its bytes are first changed. Returns 0,
 * or -errno with nothing changed; a promise if the copy is long.
 *
 * Crash window: the private file is complete before the journal names it. A crash before that leaves a file that
 * no record names, which recovery sweeps. The copy is not fsynced here. Until it is, its record has FLAG_UNSYNCED
 * and still names the object, and recovery after a power cut goes back to that object.
 */
export function makePrivate(
  core: Core,
  inode: Inode,
  length: number,
  request = core.caller.request,
): number | Promise<number> {
  const { record } = inode;
  if (record.data === DATA_PRIVATE) return 0;
  if (inode.copying !== null) return waitForCopy(core, inode, length, request);
  if (!isPrivateIno(inode.ino) && !core.quota.admitsInode()) return -EDQUOT;
  if (record.data === DATA_NONE || length === 0) return startEmpty(core, inode);
  if (record.data !== DATA_OBJECT || record.object === '') return -EIO;
  const bytes = Math.min(length, record.size);
  const room = roomFor(core, record, bytes);
  if (!core.quota.isTight(room)) return copy(core, inode, bytes, room, request);
  return core.quota.getRoom(room).then(() => {
    if (isFixed(core, inode)) return -ESTALE;
    // Another request may have made the copy.
    const isSame = inode.record === record && inode.copying === null;
    if (isSame) return copy(core, inode, bytes, room, request);
    return makePrivate(core, inode, length, request);
  });
}

/** Returns the bytes that a copy of the first `length` bytes takes on disk. */
function roomFor({ blobs }: Core, { blocks }: InodeRecord, length: number): number {
  const unit = blobs.blockBytes;
  // A file with holes takes less than its length.
  return Math.min(Math.ceil(length / unit) * unit, Math.max(blocks * BLOCK_BYTES, unit));
}

/** Copies the bytes, for which `room` is kept meanwhile. */
function copy(
  core: Core,
  inode: Inode,
  bytes: number,
  room: number,
  request: number,
): number | Promise<number> {
  const { record } = inode;
  const { blobs, quota } = core;
  if (!quota.admits(room)) return -EDQUOT;
  const job = { interrupted: false };
  const made = (fd: number): void => tag(core, inode, copied(inode.record, bytes), fd, true);
  const start = (): number | Promise<number> => {
    const object = record.object as ObjectId;
    return job.interrupted
      ? -EINTR
      : blobs.copyUp(object, inode.ino, bytes, () => job.interrupted, made);
  };
  // It holds two descriptors until it ends.
  const turn = core.fds.takeTurn();
  const result = turn === null ? start() : turn.then(start);
  if (typeof result === 'number') {
    core.fds.giveTurn();
    return result < 0 ? result : finish(core, inode, bytes);
  }
  quota.take(room);
  const taken = result.finally(() => {
    quota.release(room);
    core.fds.giveTurn();
  });
  return copyLater(core, inode, job, taken, bytes, request);
}

async function copyLater(
  core: Core,
  inode: Inode,
  job: { interrupted: boolean },
  result: Promise<number>,
  bytes: number,
  request: number,
): Promise<number> {
  core.interrupts.set(request, job);
  inode.copying = result.then((error) => {
    core.interrupts.delete(request);
    inode.copying = null;
    return error < 0 ? error : finish(core, inode, bytes);
  });
  return inode.copying;
}

/** Waits for a copy that another request began; if that request was interrupted, makes the copy itself. */
async function waitForCopy(
  core: Core,
  inode: Inode,
  length: number,
  request: number,
): Promise<number> {
  const error = await inode.copying;
  return error === -EINTR ? makePrivate(core, inode, length, request) : (error ?? 0);
}

function startEmpty(core: Core, inode: Inode): number {
  const fd = core.blobs.createPrivate(inode.ino);
  if (fd < 0) return fd;
  core.blobs.close(fd);
  inode.wasEmptied = true;
  return finish(core, inode, 0);
}

/** Completes the copy-up once the private file exists: sets the file's times, commits the record, and switches over. */
function finish(core: Core, inode: Inode, length: number): number {
  const old = inode.record;
  // A flip happened during the copy: the kernel must look the name up again.
  if (isFixed(core, inode)) return giveUp(core, inode, -ESTALE);
  const record = copied(old, length);
  tag(core, inode, record, -1, false);
  const error = adoptTimes(core, inode, old);
  if (error < 0) return giveUp(core, inode, error);
  const wasOwn = inode.inDelta;
  core.tx.begin();
  const places = pin(core, inode);
  core.tx.set(inode, { ...record, baseCtime: blobStat.ctime, baseCtimeNs: blobStat.ctimeNs });
  const committed = core.tx.commit();
  if (committed < 0) return giveUp(core, inode, committed);
  if (length === old.size) remember(core, inode, old, wasOwn, places);
  switchOver(core, inode, old);
  return 0;
}

/**
 * Notes that the copy-up can be undone, if a later write would show: `blobStat` holds the copy's attributes, and
 * every write changes an mtime that lies in the past.
 */
function remember(
  core: Core,
  inode: Inode,
  old: InodeRecord,
  wasOwn: boolean,
  places: readonly DirEntryRef[],
): void {
  const { ctime, ctimeNs } = blobStat;
  const isPast = old.mtime !== ctime ? old.mtime < ctime : old.mtimeNs < ctimeNs;
  if (!isPast || !core.lower.settled || inode.isUpper) return;
  inode.copied = { old, wasOwn, places, lower: core.lower.now };
}

/** Returns the file's record after `length` of its bytes were copied. */
function copied(old: InodeRecord, length: number): InodeRecord {
  const unsynced = old.data === DATA_OBJECT && length > 0;
  return { ...old, data: DATA_PRIVATE, flags: unsynced ? old.flags | FLAG_UNSYNCED : old.flags };
}

/** Tags the private file. Not needed if every write comes to us. */
function tag(core: Core, inode: Inode, record: InodeRecord, fd: number, early: boolean): void {
  if (core.passthrough !== null) core.delta.tagPrivate(record, namesToPin(core, inode), fd, early);
}

/** Gives the copy the file's times, and leaves its attributes in `blobStat`. */
function adoptTimes(core: Core, inode: Inode, old: InodeRecord): number {
  const fd = core.blobs.openPrivate(inode.ino, 0);
  if (fd < 0) return fd;
  const error = core.files.futimens(fd, old.atime, old.atimeNs, old.mtime, old.mtimeNs);
  core.blobs.close(fd);
  return error < 0 ? error : core.blobs.statPrivate(inode.ino, blobStat);
}

function giveUp(core: Core, inode: Inode, error: number): number {
  const removed = core.blobs.removePrivate(inode.ino);
  return removed < 0 && removed !== -ENOENT ? removed : error;
}

/**
 * Makes the private bytes the inode's own. If the kernel reads the object by passthrough, its nodeid is bound to
 * the object until the last of these opens is closed, so the inode goes on under its second nodeid.
 */
function switchOver(core: Core, inode: Inode, old: InodeRecord): void {
  core.fds.drop(inode);
  if (inode.backing === null) return;
  if (inode.backing.opens === 0) {
    core.passthrough?.release(inode.backing.id);
    inode.backing = null;
    core.noteInode(inode);
    return;
  }
  inode.beginSecond(old);
  core.noteInode(inode);
  // The file's other names still lead the kernel to the first nodeid.
  if (old.nlink > 1) {
    void core.caches.drop({ names: core.delta.namesOf(inode.ino), dirs: [], inodes: [] });
  }
}
