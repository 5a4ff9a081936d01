/** Handlers of GETATTR, STATX, SETATTR, STATFS. */
import type { NodeId } from '../../../base/ids.ts';
import { type SetAttr, UTIME_NOW } from '../../core/api.ts';
import type { SpaceStat } from '../../core/ports.ts';
import { attr, putAttrOut, putStatxOut } from '../attr.ts';
import { i64, put32, put64, putZeros, u32, u64 } from '../buffers.ts';
import type { Connection } from '../connection.ts';
import {
  ATTR_OUT_BYTES,
  FATTR,
  IN,
  OUT,
  OUT_BYTES,
  SETATTR_IN,
  STATFS_OUT_BYTES,
  STATX_OUT_BYTES,
} from '../wire.ts';

const LEAVE = -1;
const NAME_BYTES_MAX = 255;

const set: SetAttr = {
  mode: LEAVE,
  uid: LEAVE,
  gid: LEAVE,
  size: LEAVE,
  atime: 0,
  atimeNs: LEAVE,
  mtime: 0,
  mtimeNs: LEAVE,
  ctime: 0,
  ctimeNs: LEAVE,
  fh: LEAVE,
  killPriv: false,
};

const space: SpaceStat = { bsize: 0, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };

/** Serves GETATTR. */
export function getattr(c: Connection): number {
  const error = c.fs.attr(u64(IN.nodeid) as NodeId, attr);
  return attrReply(c, error);
}

function attrReply(c: Connection, error: number): number {
  if (error < 0) return error;
  putAttrOut(c, OUT.body);
  return OUT_BYTES + ATTR_OUT_BYTES;
}

/** Serves STATX, for which the kernel asks when a program wants the birth time. */
export function statx(c: Connection): number {
  const error = c.fs.attr(u64(IN.nodeid) as NodeId, attr);
  if (error < 0) return error;
  putStatxOut(c, OUT.body);
  return OUT_BYTES + STATX_OUT_BYTES;
}

/** Serves SETATTR; answers later if the file must be copied up first. */
export function setattr(c: Connection): number {
  const valid = u32(SETATTR_IN.valid);
  const node = u64(IN.nodeid) as NodeId;
  takeSetAttr(valid);
  // A new size may need a copy-up, which can take longer than `set` belongs to this request.
  const done = c.fs.setattr(node, valid & FATTR.SIZE ? { ...set } : set, attr);
  if (typeof done === 'number') return attrReply(c, done);
  // By then other requests have used `attr`, so it is filled again.
  return c.later(done, (error) => attrReply(c, error < 0 ? error : c.fs.attr(node, attr)));
}

function takeSetAttr(valid: number): void {
  set.mode = valid & FATTR.MODE ? u32(SETATTR_IN.mode) : LEAVE;
  set.uid = valid & FATTR.UID ? u32(SETATTR_IN.uid) : LEAVE;
  set.gid = valid & FATTR.GID ? u32(SETATTR_IN.gid) : LEAVE;
  set.size = valid & FATTR.SIZE ? u64(SETATTR_IN.size) : LEAVE;
  set.fh = valid & FATTR.FH ? u64(SETATTR_IN.fh) : LEAVE;
  set.killPriv = (valid & FATTR.KILL_SUIDGID) !== 0;
  set.atime = i64(SETATTR_IN.atime);
  set.mtime = i64(SETATTR_IN.mtime);
  set.ctime = i64(SETATTR_IN.ctime);
  set.atimeNs = nanoseconds(valid, FATTR.ATIME, FATTR.ATIME_NOW, SETATTR_IN.atimeNs);
  set.mtimeNs = nanoseconds(valid, FATTR.MTIME, FATTR.MTIME_NOW, SETATTR_IN.mtimeNs);
  set.ctimeNs = valid & FATTR.CTIME ? u32(SETATTR_IN.ctimeNs) : LEAVE;
}

function nanoseconds(valid: number, given: number, now: number, word: number): number {
  if (valid & now) return UTIME_NOW;
  return valid & given ? u32(word) : LEAVE;
}

/** Serves STATFS. */
export function statfs(c: Connection): number {
  const error = c.fs.statfs(space);
  if (error < 0) return error;
  const body = OUT.body;
  putZeros(body, body + STATFS_OUT_BYTES / 4);
  put64(body, space.blocks);
  put64(body + 2, space.bfree);
  put64(body + 4, space.bavail);
  put64(body + 6, space.files);
  put64(body + 8, space.ffree);
  put32(body + 10, space.bsize);
  put32(body + 11, NAME_BYTES_MAX);
  put32(body + 12, space.bsize);
  return OUT_BYTES + STATFS_OUT_BYTES;
}
