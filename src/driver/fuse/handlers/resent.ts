/**
 * Answers requests that the kernel sends again because the driver before this one was killed. What that driver carried out
 * is answered as done. Requests that have the same outcome twice are served as any other.
 */

import type { NodeId } from '../../../base/ids.ts';
import { O_EXCL, O_TRUNC } from '../../../base/mode.ts';
import { requestId, u32, u64 } from '../buffers.ts';
import type { Connection } from '../connection.ts';
import { endOfText, lastName, nameAt } from '../names.ts';
import {
  CREATE_IN,
  CREATE_IN_BYTES,
  IN,
  IN_BYTES,
  LINK_IN_BYTES,
  MKDIR_IN_BYTES,
  MKNOD_IN_BYTES,
  OP,
  OUT_BYTES,
} from '../wire.ts';
import { entryReply } from './lookup.ts';
import { createReply, openReply } from './open.ts';

/** Returns the length of the reply to the request in the shared buffer, or -errno; null if it is to be served. */
export function answerResent(c: Connection, opcode: number): number | null {
  const { before } = c.fs;
  if (before === null) return null;
  const request = requestId(IN.unique);
  const opened = before.opened(request);
  if (opened !== null) return opcode === OP.OPEN ? openReply(c, opened) : createReply(c, opened);
  return before.isDone(request) ? answerDone(c, opcode) : null;
}

function answerDone(c: Connection, opcode: number): number | null {
  switch (opcode) {
    case OP.MKNOD:
      return found(c, lastName(MKNOD_IN_BYTES));
    case OP.MKDIR:
      return found(c, lastName(MKDIR_IN_BYTES));
    case OP.SYMLINK:
      return found(c, nameAt(IN_BYTES, endOfText(IN_BYTES)));
    case OP.LINK:
      return found(c, lastName(LINK_IN_BYTES));
    case OP.CREATE:
      return openCreated(c);
    case OP.UNLINK:
    case OP.RMDIR:
    case OP.RENAME:
    case OP.RENAME2:
    case OP.SETXATTR:
    case OP.REMOVEXATTR:
      return OUT_BYTES;
    default:
      return null;
  }
}

/** Answers with the file that the request has made under a name. */
function found(c: Connection, name: ReturnType<typeof lastName>): number {
  if (typeof name === 'number') return name;
  return entryReply(c, c.fs.lookup(u64(IN.nodeid) as NodeId, name));
}

/** Opens the file that the request has created, and that was not open yet. */
function openCreated(c: Connection): number {
  const name = lastName(CREATE_IN_BYTES);
  if (typeof name === 'number') return name;
  const flags = u32(CREATE_IN.flags) & ~(O_EXCL | O_TRUNC);
  const created = c.fs.create(u64(IN.nodeid) as NodeId, name, 0, 0, flags);
  if (created instanceof Promise) return c.later(created, (late) => createReply(c, late));
  return createReply(c, created);
}
