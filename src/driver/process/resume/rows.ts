import { constants, rmSync, statSync } from 'node:fs';
import { ByrefError } from '../../../base/error.ts';
import { AT_FDCWD, native } from '../../../native/binding.ts';
import { openFile } from '../../../native/open-file.ts';

const PAGE_BYTES = 4096;
const WORD_BYTES = 4;

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

/** The words of one row: from `at` on in `words`. */
export interface Row {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly at: number;
}

/**
 * Rows of words in a file that this process has mapped. What is stored there is the file's at once, and stays when the
 * process is killed.
 *
 * The first part is one page; each further one is as large as all before it. So a file is small while little is in it, and
 * never moves.
 */
export class Rows {
  readonly #file: string;
  readonly #rowWords: number;
  readonly #perPage: number;
  readonly #parts: Uint32Array<ArrayBuffer>[] = [];
  /** The number of rows that the file had room for when it was opened. */
  readonly found: number;

  /**
   * Opens a file of rows; makes it if it does not exist. No descriptor is kept: a driver has thousands of envs.
   * @param rowWords a power of two
   * @throws ByrefError 'noSpace' if there is no room for its first page
   */
  constructor(file: string, rowWords: number, { empty }: { readonly empty: boolean }) {
    this.#file = file;
    this.#rowWords = rowWords;
    this.#perPage = PAGE_BYTES / (rowWords * WORD_BYTES);
    if (empty) rmSync(file, { force: true });
    const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    this.found = Math.floor(bytes / (rowWords * WORD_BYTES));
    if (this.reach(0)) return;
    const message = `there is no room for ${file}`;
    throw new ByrefError('noSpace', message, 'Make room on the file system of the run directory.');
  }

  /** Makes room for a row. Returns false if there is none. */
  reach(index: number): boolean {
    const part = this.#partOf(index);
    while (this.#parts.length <= part) {
      const mapped = this.#map(this.#parts.length);
      if (typeof mapped === 'number') return false;
      this.#parts.push(new Uint32Array(mapped));
    }
    return true;
  }

  #map(part: number): ArrayBuffer | number {
    const from = this.#firstOf(part) * this.#rowWords * WORD_BYTES;
    const fd = openFile(AT_FDCWD, this.#file, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    if (fd < 0) return fd;
    const mapped = native.mapFile(fd, from, part === 0 ? PAGE_BYTES : from);
    native.close(fd);
    return mapped;
  }

  /** Returns the words of a row for which there is room. */
  row(index: number): Row {
    const part = this.#partOf(index);
    const at = (index - this.#firstOf(part)) * this.#rowWords;
    return { words: this.#parts[part]!, at };
  }

  #partOf(index: number): number {
    return index < this.#perPage ? 0 : 32 - Math.clz32(Math.floor(index / this.#perPage));
  }

  #firstOf(part: number): number {
    return part === 0 ? 0 : this.#perPage * 2 ** (part - 1);
  }
}
