import { EDQUOT, EEXIST, ENOENT, ENOMEM, EPERM } from '../../base/errno.ts';
import type { Ino, Name, NodeId } from '../../base/ids.ts';
import {
  isDir,
  O_EXCL,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
} from '../../base/mode.ts';
import { EMPTY_DIRECTORY, emptyRecord } from '../../codec/empty-record.ts';
import { DATA_PRIVATE, DATA_SYMLINK, type InodeRecord } from '../../codec/inode-record.ts';
import { inherit } from './acl.ts';
import type { Created, Node, Opened, Result } from './api.ts';
import { emptyBlobStat } from './blob-stat.ts';
import { type Core, changed, dirChanged, stamp } from './core.ts';
import { noteStray } from './follow.ts';
import type { Inode } from './inode.ts';
import { countLookup, forget } from './lookup.ts';
import { directoryToChange, inodeToChange, parentFor, pin, resolve } from './names.ts';
import { open, present, registerFd } from './open.ts';
import type { DirEntryRef } from './ports.ts';
import { isPrivileged } from './privileges.ts';
import { whenDurable } from './sync.ts';

const blobStat = emptyBlobStat();

/** Makes a file, device, socket or pipe. Returns its node, counted once, or -errno. */
export function mknod(
  core: Core,
  parent: NodeId,
  name: Name,
  mode: number,
  umask: number,
  rdev: number,
): Result<Node> {
  const dir = parentFor(core, parent, name);
  if (typeof dir === 'number') return dir;
  if (resolve(core, dir, name) !== null) return -EEXIST;
  return link1(core, dir, name, newRecord(core, dir, core.delta.allocate(), mode, umask, { rdev }));
}

/** Makes a directory. Returns its node, counted once, or -errno. */
export function mkdir(
  core: Core,
  parent: NodeId,
  name: Name,
  mode: number,
  umask: number,
): Result<Node> {
  const dir = parentFor(core, parent, name);
  if (typeof dir === 'number') return dir;
  if (resolve(core, dir, name) !== null) return -EEXIST;
  const own = { ...EMPTY_DIRECTORY, parent: dir.ino, name };
  const type = (mode & ~S_IFMT) | S_IFDIR;
  return link1(core, dir, name, newRecord(core, dir, core.delta.allocate(), type, umask, own));
}

/** Makes a symlink. Returns its node, counted once, or -errno. */
export function symlink(core: Core, parent: NodeId, name: Name, target: string): Result<Node> {
  const dir = parentFor(core, parent, name);
  if (typeof dir === 'number') return dir;
  if (resolve(core, dir, name) !== null) return -EEXIST;
  const own = { data: DATA_SYMLINK, target, size: target.length };
  const mode = S_IFLNK | 0o777;
  return link1(core, dir, name, newRecord(core, dir, core.delta.allocate(), mode, 0, own));
}

/** Gives a file another name; also gives an O_TMPFILE file its first one. */
export function link(core: Core, node: NodeId, parent: NodeId, name: Name): Result<Node> {
  const inode = inodeToChange(core, node);
  if (typeof inode === 'number') return inode;
  const dir = parentFor(core, parent, name);
  if (typeof dir === 'number') return dir;
  if (isDir(inode.record.mode)) return -EPERM;
  if (resolve(core, dir, name) !== null) return -EEXIST;
  stamp(core);
  core.tx.begin();
  pin(core, inode);
  const record = changed(core, inode.record);
  core.tx.set(inode, { ...record, nlink: record.nlink + 1 });
  core.tx.setName(dir.ino, name, inode.ino, record.mode & S_IFMT);
  core.tx.set(dir, dirChanged(core, dir.record, 0));
  const error = core.tx.commit();
  if (error < 0) return error;
  noteStray(core, dir.ino, name, inode.ino);
  inode.lookups++;
  return inode;
}

/** Creates a file and opens it; opens the existing one if the name exists (with O_EXCL: EEXIST). */
export function create(
  core: Core,
  parent: NodeId,
  name: Name,
  mode: number,
  umask: number,
  flags: number,
): Result<Created> | Promise<Result<Created>> {
  const dir = parentFor(core, parent, name);
  if (typeof dir === 'number') return dir;
  const there = resolve(core, dir, name);
  if (there !== null) return openExisting(core, there, flags);
  if (!core.quota.admitsInode()) return -EDQUOT;
  const own = { data: DATA_PRIVATE };
  const type = S_IFREG | (mode & ~S_IFMT);
  const record = newRecord(core, dir, core.delta.allocate(), type, umask, own);
  const fd = core.blobs.createPrivate(record.ino);
  if (fd < 0) return fd;
  // Without passthrough nothing of it is on disk without our knowing.
  const known =
    core.passthrough === null ? record : tagged(core, record, [{ dir: dir.ino, name }], fd);
  const inode = link1(core, dir, name, known);
  if (typeof inode === 'number') return undo(core, record.ino, fd, inode);
  inode.isNew = core.passthrough !== null;
  return opened(core, inode, flags, fd);
}

/**
 * Tags the private file that was made for `record`, and returns the record to use. All times of a new file are
 * equal, so its ctime is the time the private file was made, not the time it was tagged.
 */
function tagged(
  core: Core,
  record: InodeRecord,
  places: readonly DirEntryRef[],
  fd: number,
): InodeRecord {
  core.delta.tagPrivate(record, places, fd);
  if (core.blobs.statPrivate(record.ino, blobStat) < 0) return record;
  const { mtime: sec, mtimeNs: nsec, ctime, ctimeNs } = blobStat;
  const times = { atime: sec, atimeNs: nsec, mtime: sec, mtimeNs: nsec, ctime: sec, ctimeNs: nsec };
  return { ...record, ...times, baseCtime: ctime, baseCtimeNs: ctimeNs };
}

/** Creates and opens a file without a name, for O_TMPFILE. */
export function tmpfile(
  core: Core,
  parent: NodeId,
  mode: number,
  umask: number,
  flags: number,
): Result<Created> | Promise<Result<Created>> {
  const dir = directoryToChange(core, parent);
  if (typeof dir === 'number') return dir;
  if (dir.record.nlink === 0) return -ENOENT;
  if (!core.entries.hasRoom) return -ENOMEM;
  if (!core.quota.admitsInode()) return -EDQUOT;
  const own = { data: DATA_PRIVATE, nlink: 0 };
  const type = S_IFREG | (mode & ~S_IFMT);
  const made = newRecord(core, dir, core.delta.allocate(), type, umask, own);
  const fd = core.blobs.createPrivate(made.ino);
  if (fd < 0) return fd;
  // By its tag recovery knows that nothing is lost with it.
  const record = tagged(core, made, [], fd);
  core.tx.begin().setNew(record);
  const error = core.tx.commit();
  if (error < 0) return undo(core, record.ino, fd, error);
  const inode = core.inodes.add(record);
  inode.lookups++;
  return opened(core, inode, flags, fd);
}

function undo(core: Core, ino: Ino, fd: number, error: number): number {
  core.blobs.close(fd);
  core.blobs.removePrivate(ino);
  return error;
}

function opened(
  core: Core,
  inode: Inode,
  flags: number,
  fd: number,
): Result<Created> | Promise<Result<Created>> {
  const { passthrough, quota } = core;
  if (passthrough === null || quota.boundsBytes || isPrivileged(inode.record))
    core.fds.put(inode, fd);
  else {
    const backing = registerFd(core, fd);
    if (typeof backing === 'number') return unopened(core, inode, backing);
    inode.backing = backing;
  }
  const result = whenDurable(core, inode, flags, present(core, inode, flags));
  const finish = (open: Result<Opened>): Result<Created> =>
    typeof open === 'number' ? unopened(core, inode, open) : { ...open, created: inode };
  return result instanceof Promise ? result.then(finish) : finish(result);
}

/** Answers with an error although the file exists; the kernel then has no reference to it. */
function unopened(core: Core, inode: Inode, error: number): number {
  forget(core, inode.node, 1);
  return error;
}

function openExisting(
  core: Core,
  inode: Inode,
  flags: number,
): Result<Created> | Promise<Result<Created>> {
  if ((flags & O_EXCL) !== 0) return -EEXIST;
  if (!countLookup(core, inode)) return -ENOMEM;
  const finish = (result: Awaited<ReturnType<typeof open>>): Result<Created> => {
    if (typeof result !== 'number') return { ...result, created: inode };
    forget(core, inode.node, 1);
    return result;
  };
  const result = open(core, inode.node, flags, false);
  return result instanceof Promise ? result.then(finish) : finish(result);
}

/** Commits a new record under its first name. Returns the inode, with one lookup counted, or -errno. */
function link1(core: Core, dir: Inode, name: Name, record: InodeRecord): Inode | number {
  if (!core.entries.hasRoom) return -ENOMEM;
  if (!core.quota.admitsInode()) return -EDQUOT;
  core.tx.begin();
  core.tx.setNew(record);
  core.tx.setName(dir.ino, name, record.ino, record.mode & S_IFMT);
  core.tx.set(dir, dirChanged(core, dir.record, isDir(record.mode) ? 1 : 0));
  const error = core.tx.commit();
  if (error < 0) return error;
  const inode = core.inodes.add(record);
  inode.lookups++;
  return inode;
}

/** Returns the record of the device that RENAME_WHITEOUT leaves: overlayfs's own whiteout, a character device 0/0. */
export function whiteoutDevice(core: Core, dir: Inode): InodeRecord {
  return newRecord(core, dir, core.delta.allocate(), S_IFCHR, 0, {});
}

/**
 * Returns a record for a new file of the caller's in `dir`; set-group-ID directories pass on their group. Fields
 * in `own` override everything inherited.
 */
export function newRecord(
  core: Core,
  dir: Inode,
  ino: Ino,
  mode: number,
  umask: number,
  own: Partial<InodeRecord>,
): InodeRecord {
  const { sec, nsec } = stamp(core);
  const { caller } = core;
  const inherited = inherit(dir.record, mode, umask);
  const setGid = (dir.record.mode & S_ISGID) !== 0;
  return {
    ...emptyRecord(ino),
    mode: setGid && isDir(mode) ? inherited.mode | S_ISGID : inherited.mode,
    uid: caller.uid,
    gid: setGid ? dir.record.gid : caller.gid,
    atime: sec,
    atimeNs: nsec,
    mtime: sec,
    mtimeNs: nsec,
    ctime: sec,
    ctimeNs: nsec,
    xattrs: inherited.xattrs,
    ...own,
  };
}
