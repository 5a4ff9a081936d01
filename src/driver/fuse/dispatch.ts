/** Maps opcodes to their handlers. */
import { EIO, ENOSYS } from '../../base/errno.ts';
import { requestId, u32 } from './buffers.ts';
import { type Connection, type Handler, NO_REPLY } from './connection.ts';
import { getattr, setattr, statfs, statx } from './handlers/attributes.ts';
import {
  copyFileRange,
  copyFileRange64,
  fallocate,
  fsync,
  lseek,
  read,
  sync,
  write,
} from './handlers/data.ts';
import { readdir, readdirplus } from './handlers/directory.ts';
import { batchForget, forget, lookup } from './handlers/lookup.ts';
import { create, open, release, tmpfile } from './handlers/open.ts';
import { answerResent } from './handlers/resent.ts';
import {
  link,
  mkdir,
  mknod,
  readlink,
  rename,
  rename2,
  rmdir,
  symlink,
  unlink,
} from './handlers/tree.ts';
import { getxattr, listxattr, removexattr, setxattr } from './handlers/xattr.ts';
import { IN, INTERRUPT_IN, OP, OPCODES, OUT_BYTES, UNIQUE_RESENT } from './wire.ts';

/**
 * Answers ENOSYS, which the kernel remembers, so that it does not ask again: FLUSH (nothing is written back at
 * close), OPENDIR (the kernel then caches directories by itself), ACCESS (default_permissions), BMAP, POLL, IOCTL,
 * locks (the kernel keeps them itself).
 */
const notOurs: Handler = () => -ENOSYS;

/** INTERRUPT itself is not answered: the interrupted request is, with EINTR or with its result. */
const interrupt: Handler = (c) => {
  c.interrupted(requestId(INTERRUPT_IN.unique));
  return NO_REPLY;
};

/** Only a broken kernel would send a second INIT. */
const initAgain: Handler = () => -EIO;

const TABLE: readonly (readonly [number, Handler])[] = [
  [OP.LOOKUP, lookup],
  [OP.FORGET, forget],
  [OP.GETATTR, getattr],
  [OP.SETATTR, setattr],
  [OP.READLINK, readlink],
  [OP.SYMLINK, symlink],
  [OP.MKNOD, mknod],
  [OP.MKDIR, mkdir],
  [OP.UNLINK, unlink],
  [OP.RMDIR, rmdir],
  [OP.RENAME, rename],
  [OP.LINK, link],
  [OP.OPEN, open],
  [OP.READ, read],
  [OP.WRITE, write],
  [OP.STATFS, statfs],
  [OP.RELEASE, release],
  [OP.FSYNC, fsync],
  [OP.SETXATTR, setxattr],
  [OP.GETXATTR, getxattr],
  [OP.LISTXATTR, listxattr],
  [OP.REMOVEXATTR, removexattr],
  [OP.INIT, initAgain],
  [OP.READDIR, readdir],
  [OP.RELEASEDIR, () => OUT_BYTES],
  [OP.FSYNCDIR, sync],
  [OP.CREATE, create],
  [OP.INTERRUPT, interrupt],
  [OP.DESTROY, () => OUT_BYTES],
  [OP.NOTIFY_REPLY, () => NO_REPLY],
  [OP.BATCH_FORGET, batchForget],
  [OP.FALLOCATE, fallocate],
  [OP.READDIRPLUS, readdirplus],
  [OP.RENAME2, rename2],
  [OP.LSEEK, lseek],
  [OP.COPY_FILE_RANGE, copyFileRange],
  [OP.SYNCFS, sync],
  [OP.TMPFILE, tmpfile],
  [OP.STATX, statx],
  [OP.COPY_FILE_RANGE_64, copyFileRange64],
];

const handlers: Handler[] = Array.from({ length: OPCODES }, () => notOurs);
for (const [opcode, handler] of TABLE) handlers[opcode] = handler;

const names = new Map<number, string>(Object.entries(OP).map(([name, opcode]) => [opcode, name]));

/** Returns the name of an opcode, for logs and counters. */
export const opcodeName = (opcode: number): string => names.get(opcode) ?? `opcode ${opcode}`;

const isSilent = (opcode: number): boolean =>
  opcode === OP.FORGET || opcode === OP.BATCH_FORGET || opcode === OP.INTERRUPT;

/** Serves the request in the shared buffer; returns what a Handler returns. What is thrown goes to `fault`. */
export function dispatch(
  c: Connection,
  opcode: number,
  fault: (error: unknown, operation: string) => number,
): number {
  try {
    const isAgain = (u32(IN.unique + 1) & UNIQUE_RESENT) !== 0;
    const answered = isAgain ? answerResent(c, opcode) : null;
    return answered ?? (handlers[opcode] ?? notOurs)(c);
  } catch (error) {
    const result = fault(error, opcodeName(opcode));
    return isSilent(opcode) ? NO_REPLY : result;
  }
}
