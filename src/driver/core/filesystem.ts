import type { EnvFileSystem, GoneInode } from './api.ts';
import { attr, readlink, setattr } from './attributes.ts';
import { type Core, createCore, type Parts } from './core.ts';
import { create, link, mkdir, mknod, symlink, tmpfile } from './create.ts';
import { explainWait } from './explain-wait.ts';
import { flip } from './flip.ts';
import { followAll } from './follow.ts';
import { copyRange, fallocate, fsync, lseek, read, readLater, write } from './io.ts';
import { keepDirs } from './keep-dirs.ts';
import { giveBackLeft } from './left-copies.ts';
import { limitDisk } from './limit-disk.ts';
import { forget, lookup, lookupDot, lookupDotDot, reclaim } from './lookup.ts';
import { open } from './open.ts';
import { isOpenForWriting } from './open-for-writing.ts';
import { readAnew } from './read-anew.ts';
import { readdir } from './readdir.ts';
import { giveBackLater, release } from './release.ts';
import { rmdir, unlink } from './remove.ts';
import { rename } from './rename.ts';
import { restore } from './resume/restore.ts';
import { releaseSaved } from './set-aside.ts';
import { sync } from './sync.ts';
import { getxattr, listxattr, removexattr, setxattr } from './xattr.ts';

/** Puts a mounted env's filesystem together. Each mount has one, with its own state; there is no global state. */
export function createFileSystem(parts: Parts): EnvFileSystem {
  const core = createCore(parts);
  core.unwritten.start((inode) => giveBackLater(core, inode));
  const { left = null } = parts;
  const before = left === null ? null : restore(core, left);
  return {
    caller: core.caller,
    lookup: (parent, name) => lookup(core, parent, name),
    lookupDot: (node) => lookupDot(core, node),
    lookupDotDot: (node) => lookupDotDot(core, node),
    forget: (node, count) => forget(core, node, count),
    attr: (node, out) => attr(core, node, out),
    setattr: (node, set, out) => setattr(core, node, set, out),
    readlink: (node) => readlink(core, node),
    mknod: (parent, name, mode, umask, rdev) => mknod(core, parent, name, mode, umask, rdev),
    mkdir: (parent, name, mode, umask) => mkdir(core, parent, name, mode, umask),
    symlink: (parent, name, target) => symlink(core, parent, name, target),
    link: (node, parent, name) => link(core, node, parent, name),
    unlink: (parent, name) => unlink(core, parent, name),
    rmdir: (parent, name) => rmdir(core, parent, name),
    rename: (from, fromName, to, toName, flags) => rename(core, from, fromName, to, toName, flags),
    open: (node, flags, killPriv) => open(core, node, flags, killPriv),
    create: (parent, name, mode, umask, flags) => create(core, parent, name, mode, umask, flags),
    tmpfile: (parent, mode, umask, flags) => tmpfile(core, parent, mode, umask, flags),
    read: (fh, offset, length, buf, at) => read(core, fh, offset, length, buf, at),
    readLater: (fh, offset, length, makeRoom) => readLater(core, fh, offset, length, makeRoom),
    write: (fh, offset, buf, at, length, killPriv, durable, whole) =>
      write(core, fh, offset, buf, at, length, killPriv, durable, whole),
    release: (fh) => release(core, fh),
    fsync: (fh, dataOnly) => fsync(core, fh, dataOnly),
    sync: () => sync(core),
    fallocate: (fh, mode, offset, length) => fallocate(core, fh, mode, offset, length),
    lseek: (fh, offset, whence) => lseek(core, fh, offset, whence),
    copyRange: (fhIn, offIn, fhOut, offOut, length) =>
      copyRange(core, fhIn, offIn, fhOut, offOut, length),
    readdir: (node, cookie, ordinal, plus, sink) =>
      readdir(core, node, cookie, ordinal, plus, sink),
    statfs(out) {
      const error = core.blobs.space(out);
      if (error === 0) core.quota.shown(out);
      return error;
    },
    getxattr: (node, name) => getxattr(core, node, name),
    listxattr: (node) => listxattr(core, node),
    setxattr: (node, name, value, flags, killSgid) =>
      setxattr(core, node, name, value, flags, killSgid),
    removexattr: (node, name) => removexattr(core, node, name),
    interrupt: (request) => interrupt(core, request),
    explainWait: (node, request) => explainWait(core, node, request),
    before,
    destroy: () => destroy(core),
    get lower() {
      return core.lower.now;
    },
    flip: (change, acts = []) => flip(core, change, acts),
    keepDirs: () => {
      releaseSaved(core, core.lower);
      followAll(core);
      return keepDirs(core, null, core.lower, core.delta.templateDirs()).length;
    },
    giveBackLeft: (inos) => giveBackLeft(core, inos),
    isOpenForWriting: (paths) => isOpenForWriting(core, paths),
    gone: () => gone(core),
    limitDisk: (limits) => limitDisk(core, limits),
    readAnew: (objects) => readAnew(core, objects),
  };
}

function* gone(core: Core): Generator<GoneInode> {
  for (const { gone: lower, record } of core.inodes.values()) {
    if (lower !== null) yield { record, lower };
  }
}

function interrupt(core: Core, request: number): void {
  const job = core.interrupts.get(request);
  if (job !== undefined) job.interrupted = true;
}

function destroy(core: Core): void {
  for (const handle of [...core.handles.values()]) release(core, handle.fh);
  // Most inodes hold only memory, so only those with something to give back are reclaimed one by one.
  const held = [...core.inodes.values()].filter(
    ({ record, backing, copied }) => record.nlink === 0 || backing !== null || copied !== null,
  );
  for (const inode of held) {
    inode.lookups = 0;
    inode.first = null;
    reclaim(core, inode);
  }
  core.unwritten.clear();
  core.fds.clear();
  core.inodes.clear();
  core.entries.end();
}
