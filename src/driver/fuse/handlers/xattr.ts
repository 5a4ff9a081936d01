/** Handlers of SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. A size of 0 asks for the length of the answer. */
import { ERANGE } from '../../../base/errno.ts';
import type { NodeId } from '../../../base/ids.ts';
import { put32, reply, request, u32, u64 } from '../buffers.ts';
import type { Connection } from '../connection.ts';
import { endOfText, textAt } from '../names.ts';
import {
  GETXATTR_IN,
  GETXATTR_IN_BYTES,
  IN,
  IN_BYTES,
  OUT,
  OUT_BYTES,
  SETXATTR_ACL_KILL_SGID,
  SETXATTR_COMPAT_IN_BYTES,
  SETXATTR_IN,
  SETXATTR_IN_BYTES,
} from '../wire.ts';
import { statusReply } from './tree.ts';

const node = (): NodeId => u64(IN.nodeid) as NodeId;

/** Serves SETXATTR: the name, then the value, which is copied because the core may keep it. */
export function setxattr(c: Connection): number {
  const extended = c.granted.setxattrExt;
  const start = IN_BYTES + (extended ? SETXATTR_IN_BYTES : SETXATTR_COMPAT_IN_BYTES);
  const killSgid = extended && (u32(SETXATTR_IN.setxattrFlags) & SETXATTR_ACL_KILL_SGID) !== 0;
  const end = endOfText(start);
  const value = Buffer.from(request.subarray(end + 1, end + 1 + u32(SETXATTR_IN.size)));
  const name = textAt(start, end);
  return statusReply(c.fs.setxattr(node(), name, value, u32(SETXATTR_IN.flags), killSgid));
}

/** Serves GETXATTR. */
export function getxattr(c: Connection): number {
  const name = textAt(IN_BYTES + GETXATTR_IN_BYTES, u32(IN.len) - 1);
  const value = c.fs.getxattr(node(), name);
  if (typeof value === 'number') return value;
  const fits = sizeReply(value.length);
  if (fits !== 0) return fits;
  value.copy(reply, OUT_BYTES);
  return OUT_BYTES + value.length;
}

/** Serves LISTXATTR: names one after the other, each ended by a NUL. */
export function listxattr(c: Connection): number {
  const names = c.fs.listxattr(node());
  if (typeof names === 'number') return names;
  const list = names.map((name) => `${name}\0`).join('');
  const fits = sizeReply(list.length);
  return fits !== 0 ? fits : OUT_BYTES + reply.latin1Write(list, OUT_BYTES);
}

/**
 * Returns the reply to a question for the length, -ERANGE if there is too little room, or 0 if the bytes are to be
 * sent.
 */
function sizeReply(length: number): number {
  const room = u32(GETXATTR_IN.size);
  if (room !== 0) return length > room ? -ERANGE : 0;
  put32(OUT.body, length);
  put32(OUT.body + 1, 0);
  return OUT_BYTES + 8;
}

/** Serves REMOVEXATTR. */
export function removexattr(c: Connection): number {
  return statusReply(c.fs.removexattr(node(), textAt(IN_BYTES, u32(IN.len) - 1)));
}
