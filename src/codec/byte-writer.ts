/** Collects a record of unknown length. For control rows and link histories, not for hot paths. */
import { putSigned, putVarint, VARINT_MAX } from './varint.ts';

/** A buffer that grows as fields are appended to it. */
export class ByteWriter {
  private buf = Buffer.allocUnsafe(256);
  private length = 0;

  /** Makes room for `bytes` more bytes; returns the position where they start. */
  private reserve(bytes: number): number {
    if (this.length + bytes > this.buf.length) {
      const bigger = Buffer.allocUnsafe(2 * (this.length + bytes));
      this.buf.copy(bigger, 0, 0, this.length);
      this.buf = bigger;
    }
    return this.length;
  }

  u8(value: number): this {
    const at = this.reserve(1);
    this.buf[at] = value;
    this.length = at + 1;
    return this;
  }

  varint(value: number): this {
    const at = this.reserve(VARINT_MAX);
    this.length = putVarint(this.buf, at, value);
    return this;
  }

  /** Appends a number of either sign as a zigzag varint. */
  signed(value: number): this {
    const at = this.reserve(VARINT_MAX);
    this.length = putSigned(this.buf, at, value);
    return this;
  }

  /** Appends the text's length and its UTF-8 bytes. */
  text(value: string): this {
    return this.varint(Buffer.byteLength(value)).bytes(Buffer.from(value, 'utf8'));
  }

  /** Appends the length and the bytes of a binary string (a Name). */
  latin1(value: string): this {
    return this.varint(value.length).bytes(Buffer.from(value, 'latin1'));
  }

  bytes(value: Uint8Array): this {
    const at = this.reserve(value.length);
    this.buf.set(value, at);
    this.length = at + value.length;
    return this;
  }

  /** Returns a copy of the bytes so far. */
  take(): Buffer {
    return Buffer.from(this.buf.subarray(0, this.length));
  }
}
