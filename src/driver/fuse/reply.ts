import { native } from '../../native/binding.ts';
import { put32, reply } from './buffers.ts';
import { NO_REPLY } from './connection.ts';
import { OUT, OUT_BYTES } from './wire.ts';

/**
 * Completes the reply to the request `uniqueLow`, `uniqueHigh`, for which a handler returned `result`. Returns the
 * length of the message in bytes, or 0 for no reply.
 */
export function seal(result: number, uniqueLow: number, uniqueHigh: number): number {
  if (result === NO_REPLY) return 0;
  const length = result < 0 ? OUT_BYTES : result;
  put32(OUT.len, length);
  put32(OUT.error, result < 0 ? result : 0);
  put32(OUT.unique, uniqueLow);
  put32(OUT.unique + 1, uniqueHigh);
  return length;
}

/** Writes a late reply. An error means that no program waits for it any more (ENOENT: aborted; ENODEV: unmounted). */
export function send(devFd: number, length: number): void {
  native.writeDevice(devFd, reply, length);
}
