/** Handlers of OPEN, CREATE, TMPFILE, RELEASE. */
import type { NodeId } from '../../../base/ids.ts';
import type { Created, Opened, Result } from '../../core/api.ts';
import { putEntry, putOpened } from '../attr.ts';
import { u32, u64 } from '../buffers.ts';
import type { Connection } from '../connection.ts';
import { lastName } from '../names.ts';
import {
  CREATE_IN,
  CREATE_IN_BYTES,
  ENTRY_OUT_BYTES,
  IN,
  OPEN_IN,
  OPEN_KILL_SUIDGID,
  OPEN_OUT_BYTES,
  OUT,
  OUT_BYTES,
  RELEASE_IN,
} from '../wire.ts';

/** Serves OPEN; answers later if the file must be copied up or flushed first. */
export function open(c: Connection): number {
  const killPriv = (u32(OPEN_IN.openFlags) & OPEN_KILL_SUIDGID) !== 0;
  const opened = c.fs.open(u64(IN.nodeid) as NodeId, u32(OPEN_IN.flags), killPriv);
  if (opened instanceof Promise) return c.later(opened, (late) => openReply(c, late));
  return openReply(c, opened);
}

export function openReply(c: Connection, opened: Result<Opened>): number {
  if (typeof opened === 'number') return opened;
  putOpened(c, OUT.body, opened);
  return OUT_BYTES + OPEN_OUT_BYTES;
}

/** Serves CREATE. */
export function create(c: Connection): number {
  const name = lastName(CREATE_IN_BYTES);
  if (typeof name === 'number') return name;
  const [mode, umask, flags] = [u32(CREATE_IN.mode), u32(CREATE_IN.umask), u32(CREATE_IN.flags)];
  const created = c.fs.create(u64(IN.nodeid) as NodeId, name, mode, umask, flags);
  if (created instanceof Promise) return c.later(created, (late) => createReply(c, late));
  return createReply(c, created);
}

/** Serves TMPFILE. */
export function tmpfile(c: Connection): number {
  const [mode, umask, flags] = [u32(CREATE_IN.mode), u32(CREATE_IN.umask), u32(CREATE_IN.flags)];
  const created = c.fs.tmpfile(u64(IN.nodeid) as NodeId, mode, umask, flags);
  if (created instanceof Promise) return c.later(created, (late) => createReply(c, late));
  return createReply(c, created);
}

/**
 * Fills in an entry and an open file. If the entry fails, the kernel will never release the handle, so it is
 * closed here.
 */
export function createReply(c: Connection, created: Result<Created>): number {
  if (typeof created === 'number') return created;
  const error = putEntry(c, OUT.body, created.created);
  if (error < 0) {
    c.fs.release(created.fh);
    return error;
  }
  putOpened(c, OUT.body + ENTRY_OUT_BYTES / 4, created);
  return OUT_BYTES + ENTRY_OUT_BYTES + OPEN_OUT_BYTES;
}

/** Serves RELEASE. */
export function release(c: Connection): number {
  c.fs.release(u64(RELEASE_IN.fh));
  return OUT_BYTES;
}
