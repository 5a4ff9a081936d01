import { F_SETLK } from './constants.ts';
import { rawCall } from './raw.ts';

/** A struct flock for fcntl: `type` is F_RDLCK, F_WRLCK or F_UNLCK; length 0 means to the end. */
export function flockStruct(type: number, start: number, length: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeInt16LE(type, 0);
  bytes.writeBigInt64LE(BigInt(start), 8);
  bytes.writeBigInt64LE(BigInt(length), 16);
  return bytes;
}

/** Sets a record lock without waiting; false if another owner's lock is in the way. */
export function tryLock(
  fd: number,
  type: number,
  start = 0,
  length = 0,
  command = F_SETLK,
): boolean {
  return rawCall('fcntl', fd, command, flockStruct(type, start, length)) === 0;
}

/** Takes or drops a whole-file lock (LOCK_*); false if it would have to wait. */
export const tryFlock = (fd: number, operation: number): boolean =>
  rawCall('flock', fd, operation) === 0;
