import {
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

/** A file with more lines than this, and than it would have if it were written anew many times over, is written anew. */
const LINES_MIN = 20_000;
const TIMES = 4;

/**
 * Lines that outlive this process, if it is killed: each is in the file when add() returns. On a full disk they are lost, which is no
 * reason to fail what they are about.
 */
export class KeptLines {
  readonly #file: string;
  #fd = -1;
  #lines = 0;

  /** @param found false to begin with none; else those that another process left are gone on with */
  constructor(file: string, found: boolean) {
    this.#file = file;
    if (!found) rmSync(file, { force: true });
  }

  /** Returns the lines that are there. One that is cut short is none. */
  read(): string[] {
    try {
      const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1);
      this.#lines = lines.length;
      return lines;
    } catch {
      return [];
    }
  }

  add(line: string): void {
    try {
      if (this.#fd < 0) this.#fd = openSync(this.#file, 'a', 0o600);
      writeSync(this.#fd, `${line}\n`);
      this.#lines++;
    } catch {
      this.#close();
    }
  }

  /** True if the file says the same things many times. @param needed the number of lines that would do */
  isLong(needed: number): boolean {
    return this.#lines > Math.max(LINES_MIN, TIMES * needed);
  }

  /** Replaces all lines. */
  replace(lines: readonly string[]): void {
    this.#close();
    this.#lines = lines.length;
    try {
      writeFileSync(`${this.#file}.new`, lines.map((line) => `${line}\n`).join(''), {
        mode: 0o600,
      });
      renameSync(`${this.#file}.new`, this.#file);
    } catch {
      rmSync(`${this.#file}.new`, { force: true });
    }
  }

  #close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  close(): void {
    this.#close();
  }
}
