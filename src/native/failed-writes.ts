/**
 * Keeps a process whole when LMDB can't write. The lmdb package writes a text about it beyond what it allocated, and after some
 * failed writes the process dies of that anywhere: native/lmdb_texts.cc, which mends it, says how.
 */
import { writeSync } from 'node:fs';
import { EXIT } from '../base/exit-codes.ts';
import { isNoSpace } from '../base/no-space.ts';
import { native } from './binding.ts';

const STDERR = 2;

let isBounded = false;

/** Mends LMDB's texts, in the process, before tables are opened. */
export function boundTexts(): void {
  isBounded ||= native.boundLmdbTexts() > 0;
}

/** Runs a transaction. Throws what it throws, or ends the process: see endIfSpoiled(). */
export function guardWrite<T>(transaction: () => T): T {
  try {
    return transaction();
  } catch (error) {
    if (!isBounded) endIfSpoiled(error);
    throw error;
  }
}

/**
 * Ends the process, with a sentence, if a write of LMDB's failed: for those in which its texts could not be mended, as with another build of the
 * lmdb package. What is in their memory may be anything.
 */
export function endIfSpoiled(error: unknown): void {
  const { code } = error as { code?: unknown };
  // LMDB's own errors are below zero; these are of the system.
  if (typeof code !== 'number' || code <= 0) return;
  const full = isNoSpace(error);
  const text = `byref: a write to tables failed (${(error as Error).message}), and LMDB may have spoiled the memory of this process by it, so it ends; nothing was changed
  hint: ${full ? 'Free some space, then run this again.' : 'See the log of the kernel for errors of the disk.'}
`;
  writeSync(STDERR, text);
  native.exitNow(full ? EXIT.noSpace : EXIT.error);
}
