import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Pace } from './pace.ts';

/** How much is read at a time: a disk reads no faster in larger pieces, and at a low rate the pauses stay short. */
const PIECE = 2 ** 20;
const WASM_PAGE = 2 ** 16;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const READ_DISK = READ | constants.O_DIRECT;

/**
 * Reads files past the page cache, where the file system can: what envs have there stays, and what is checked is what the disk
 * has, not what was read from it before.
 */
export class DiskReader {
  private readonly piece = pageAligned(PIECE);
  private isDirect = true;

  /**
   * Returns the SHA-256 of a file's bytes as 64 hex digits.
   * @param onBytes is told how many were read, a piece at a time
   * @throws the errors of open and read
   */
  async hash(file: string, pace: Pace, onBytes: (bytes: number) => void): Promise<string> {
    const fd = this.open(file);
    try {
      const { size } = fstatSync(fd);
      const hash = createHash('sha256');
      // Beyond the end no read begins: its place would not be one of a page.
      for (let at = 0; at < size; ) {
        const length = readSync(fd, this.piece, 0, PIECE, at);
        if (length === 0) break;
        hash.update(this.piece.subarray(0, length));
        at += length;
        onBytes(length);
        await pace.read(length);
      }
      return hash.digest('hex');
    } catch (error) {
      if (!this.isDirect || codeOf(error) !== 'EINVAL') throw error;
    } finally {
      closeSync(fd);
    }
    this.isDirect = false;
    return this.hash(file, pace, onBytes);
  }

  private open(file: string): number {
    if (!this.isDirect) return openSync(file, READ);
    try {
      return openSync(file, READ_DISK);
    } catch (error) {
      if (codeOf(error) !== 'EINVAL') throw error;
    }
    this.isDirect = false;
    return openSync(file, READ);
  }
}

/** As the types of Node lack it. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  };
};

/** Returns a buffer that begins at a page of memory, as reads past the page cache need it: the memory of WebAssembly does. */
function pageAligned(bytes: number): Buffer {
  return Buffer.from(new WebAssembly.Memory({ initial: bytes / WASM_PAGE }).buffer);
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
