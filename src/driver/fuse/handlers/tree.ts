/** Handlers for names: MKNOD, MKDIR, SYMLINK, LINK, UNLINK, RMDIR, RENAME, READLINK. */
import type { NodeId } from '../../../base/ids.ts';
import { reply, u32, u64 } from '../buffers.ts';
import type { Connection } from '../connection.ts';
import { endOfText, lastName, nameAt, textAt } from '../names.ts';
import {
  IN,
  IN_BYTES,
  LINK_IN,
  LINK_IN_BYTES,
  MKDIR_IN,
  MKDIR_IN_BYTES,
  MKNOD_IN,
  MKNOD_IN_BYTES,
  OUT_BYTES,
  RENAME_IN,
  RENAME_IN_BYTES,
  RENAME2_IN,
  RENAME2_IN_BYTES,
} from '../wire.ts';
import { entryReply } from './lookup.ts';

/** Returns the result of a handler whose reply has no body. */
export const statusReply = (status: number): number => (status < 0 ? status : OUT_BYTES);

const node = (): NodeId => u64(IN.nodeid) as NodeId;

/** Serves MKNOD. */
export function mknod(c: Connection): number {
  const name = lastName(MKNOD_IN_BYTES);
  if (typeof name === 'number') return name;
  const [mode, umask, rdev] = [u32(MKNOD_IN.mode), u32(MKNOD_IN.umask), u32(MKNOD_IN.rdev)];
  return entryReply(c, c.fs.mknod(node(), name, mode, umask, rdev));
}

/** Serves MKDIR. */
export function mkdir(c: Connection): number {
  const name = lastName(MKDIR_IN_BYTES);
  if (typeof name === 'number') return name;
  return entryReply(c, c.fs.mkdir(node(), name, u32(MKDIR_IN.mode), u32(MKDIR_IN.umask)));
}

/** Serves SYMLINK: the name, then the target. */
export function symlink(c: Connection): number {
  const end = endOfText(IN_BYTES);
  const name = nameAt(IN_BYTES, end);
  if (typeof name === 'number') return name;
  const target = textAt(end + 1, u32(IN.len) - 1);
  return entryReply(c, c.fs.symlink(node(), name, target));
}

/** Serves LINK. */
export function link(c: Connection): number {
  const name = lastName(LINK_IN_BYTES);
  if (typeof name === 'number') return name;
  return entryReply(c, c.fs.link(u64(LINK_IN.oldNode) as NodeId, node(), name));
}

/** Serves UNLINK. */
export function unlink(c: Connection): number {
  const name = lastName(0);
  return typeof name === 'number' ? name : statusReply(c.fs.unlink(node(), name));
}

/** Serves RMDIR. */
export function rmdir(c: Connection): number {
  const name = lastName(0);
  return typeof name === 'number' ? name : statusReply(c.fs.rmdir(node(), name));
}

/** Serves RENAME. */
export const rename = (c: Connection): number =>
  move(c, u64(RENAME_IN.newDir) as NodeId, RENAME_IN_BYTES, 0);

/** Serves RENAME2, which has flags. */
export const rename2 = (c: Connection): number =>
  move(c, u64(RENAME2_IN.newDir) as NodeId, RENAME2_IN_BYTES, u32(RENAME2_IN.flags));

/** Serves both kinds of rename: the old name, then the new one. */
function move(c: Connection, toDir: NodeId, structBytes: number, flags: number): number {
  const start = IN_BYTES + structBytes;
  const end = endOfText(start);
  const from = nameAt(start, end);
  if (typeof from === 'number') return from;
  const to = nameAt(end + 1, u32(IN.len) - 1);
  if (typeof to === 'number') return to;
  return statusReply(c.fs.rename(node(), from, toDir, to, flags));
}

/** Serves READLINK. */
export function readlink(c: Connection): number {
  const target = c.fs.readlink(node());
  if (typeof target === 'number') return target;
  return OUT_BYTES + reply.latin1Write(target, OUT_BYTES);
}
