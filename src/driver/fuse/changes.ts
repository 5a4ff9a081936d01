/** Tells which requests change something, from the request in the shared buffer. */
import { O_ACCMODE, O_TRUNC } from '../../base/mode.ts';
import { u32 } from './buffers.ts';
import { OP, OPCODES, OPEN_IN } from './wire.ts';

const CHANGES = new Uint8Array(OPCODES);
for (const opcode of [
  OP.SETATTR,
  OP.SYMLINK,
  OP.MKNOD,
  OP.MKDIR,
  OP.UNLINK,
  OP.RMDIR,
  OP.RENAME,
  OP.LINK,
  OP.OPEN,
  OP.WRITE,
  OP.SETXATTR,
  OP.REMOVEXATTR,
  OP.CREATE,
  OP.FALLOCATE,
  OP.RENAME2,
  OP.COPY_FILE_RANGE,
  OP.TMPFILE,
  OP.COPY_FILE_RANGE_64,
]) {
  CHANGES[opcode] = 1;
}

/**
 * Returns true if the request in the shared buffer, of this opcode, changes something. An open counts if it is for
 * writing or truncates.
 */
export const changesSomething = (opcode: number): boolean =>
  CHANGES[opcode] === 1 &&
  (opcode !== OP.OPEN || (u32(OPEN_IN.flags) & (O_ACCMODE | O_TRUNC)) !== 0);
