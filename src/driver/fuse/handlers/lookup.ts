/** Handlers of LOOKUP and its opposite, FORGET, which is never answered. */
import { ENOENT } from '../../../base/errno.ts';
import type { Name, NodeId } from '../../../base/ids.ts';
import type { Node, Result } from '../../core/api.ts';
import { putEntry, putNegativeEntry } from '../attr.ts';
import { u32, u64 } from '../buffers.ts';
import { type Connection, NO_REPLY } from '../connection.ts';
import { lastName } from '../names.ts';
import { BATCH_FORGET_IN, ENTRY_OUT_BYTES, FORGET_IN, IN, OUT, OUT_BYTES } from '../wire.ts';

/** The length of a reply that holds one entry. */
export const ENTRY_REPLY_BYTES = OUT_BYTES + ENTRY_OUT_BYTES;

/** Fills the reply of every request that yields a node: LOOKUP, MKNOD, MKDIR, SYMLINK, LINK. */
export function entryReply(c: Connection, found: Result<Node>): number {
  if (typeof found === 'number') return found;
  const error = putEntry(c, OUT.body, found);
  return error < 0 ? error : ENTRY_REPLY_BYTES;
}

/** Serves LOOKUP. An absent name is not an error but an answer, which the kernel keeps. */
export function lookup(c: Connection): number {
  const name = lastName(0);
  if (typeof name === 'number') return name;
  const found = find(c, u64(IN.nodeid) as NodeId, name);
  if (found !== -ENOENT) return entryReply(c, found);
  putNegativeEntry(c, OUT.body);
  return ENTRY_REPLY_BYTES;
}

/** Finds a name. "." and ".." come only from file handles (EXPORT_SUPPORT), for which an unknown node is ESTALE. */
function find(c: Connection, parent: NodeId, name: Name): Result<Node> {
  if (name.length > 2 || name.charCodeAt(0) !== 0x2e) return c.fs.lookup(parent, name);
  if (name === '.') return c.fs.lookupDot(parent);
  if (name === '..') return c.fs.lookupDotDot(parent);
  return c.fs.lookup(parent, name);
}

/** Serves FORGET, which has no reply. */
export function forget(c: Connection): number {
  c.fs.forget(u64(IN.nodeid) as NodeId, u64(FORGET_IN.count));
  return NO_REPLY;
}

/** Serves BATCH_FORGET, which has no reply. */
export function batchForget(c: Connection): number {
  const count = u32(BATCH_FORGET_IN.count);
  for (let i = 0, at = BATCH_FORGET_IN.first; i < count; i++, at += BATCH_FORGET_IN.words) {
    c.fs.forget(u64(at) as NodeId, u64(at + 2));
  }
  return NO_REPLY;
}
