import { ByrefError } from './error.ts';

/** Thrown where bytes on disk are not as byref writes them. */
export class Damaged extends ByrefError {
  /** What is wrong with the bytes, for whoever knows where they stand. */
  readonly reason: string;

  /** @param said what people are told, where more is known than the reason */
  constructor(reason: string, said: { readonly message?: string; readonly hint?: string } = {}) {
    const {
      message = `what is stored is damaged: ${reason}`,
      hint = 'Run byref fsck, which says what is damaged, and what can be done.',
    } = said;
    super('corrupt', message, hint);
    this.name = 'Damaged';
    this.reason = reason;
  }
}

/** Errors by which LMDB says that a file is not as it wrote it. */
const OF_LMDB = /^MDB_(CORRUPTED|INVALID|PAGE_NOTFOUND|PANIC|VERSION_MISMATCH|INCOMPATIBLE|BAD_)/;

/** Returns true if the error means that bytes on disk are damaged. */
export const isDamage = (error: unknown): boolean =>
  error instanceof Damaged || (error instanceof Error && OF_LMDB.test(error.message));

/** Returns why something can't be read, in a few words. */
export const reasonOf = (error: unknown): string =>
  error instanceof Damaged ? error.reason : (error as Error).message;

/** Returns what JSON text says. @throws Damaged if it is none */
export function parseStored(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Damaged((error as Error).message);
  }
}
