import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { ENOSPC } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { native } from '../../native/binding.ts';

const PIECE = 2 ** 20;

/** A file that one writes and another one reads at the same time, each at its own pace. */
export class Spool {
  private readonly file: string;
  private readonly fd: number;
  private written: number;
  private isWhole: boolean;
  private failure: { readonly cause: unknown } | null = null;
  private wake: () => void = () => undefined;

  private constructor(file: string, fd: number, written: number, isWhole: boolean) {
    this.file = file;
    this.fd = fd;
    this.written = written;
    this.isWhole = isWhole;
  }

  /** Begins an empty one. */
  static make(file: string): Spool {
    return new Spool(file, openSync(file, 'w+', 0o600), 0, false);
  }

  /** Opens one that is whole. */
  static open(file: string): Spool {
    return new Spool(file, openSync(file, 'r'), statSync(file).size, true);
  }

  append = (bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; )
      at += writeSync(this.fd, bytes, at, bytes.length - at, this.written + at);
    this.written += bytes.length;
    this.wake();
  };

  /** Says that all is written, and puts it on disk. */
  async finish(): Promise<void> {
    const failed = await native.fsyncAsync(this.fd, false);
    if (failed < 0)
      throw new ByrefError(
        failed === -ENOSPC ? 'noSpace' : 'error',
        `${this.file} can't be put on disk: errno ${-failed}`,
        'Free some space, then run this again.',
      );
    this.isWhole = true;
    this.wake();
  }

  /** Says that no more comes, because of an error, which readers get. */
  fail(cause: unknown): void {
    this.failure = { cause };
    this.wake();
  }

  /** Yields its bytes from an offset on, also those that are still to be written. */
  async *bytes(from: number): AsyncGenerator<Buffer> {
    for (let at = from; ; ) {
      if (this.failure !== null) throw this.failure.cause;
      if (at < this.written) {
        const piece = Buffer.allocUnsafe(Math.min(PIECE, this.written - at));
        const length = readSync(this.fd, piece, 0, piece.length, at);
        if (length === 0) throw new Error(`${this.file} was cut off`);
        at += length;
        yield piece.subarray(0, length);
      } else if (this.isWhole) return;
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}
