/** LEB128 varints of up to 53 bits, zigzag for signed numbers, and a cursor to read them. */

import { Damaged } from '../base/damaged.ts';

/** The length in bytes of the longest varint, that of 2^53-1. */
export const VARINT_MAX = 8;

const TWO_28 = 2 ** 28;

/** Writes an integer 0 .. 2^53-1 at `at`; returns the end. */
export function putVarint(buf: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  // Bit operators work on 32 bits: take 7 bits at a time by division while there are more.
  while (rest >= TWO_28) {
    buf[end++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    buf[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buf[end++] = rest;
  return end;
}

/** Writes an integer of either sign, |value| < 2^52, as a zigzag varint; returns the end. */
export function putSigned(buf: Uint8Array, at: number, value: number): number {
  return putVarint(buf, at, value < 0 ? -value * 2 - 1 : value * 2);
}

/**
 * Reads fields one after the other, from `at` on. Everything it returns is a copy. @throws Damaged beyond the
 * buffer's end
 */
export class Cursor {
  private readonly buf: Buffer;
  at: number;

  constructor(buf: Buffer, at: number) {
    this.buf = buf;
    this.at = at;
  }

  varint(): number {
    const buf = this.buf;
    let at = this.at;
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = buf[at++];
      if (byte === undefined) throw new Damaged('varint runs past the end');
      if (byte < 0x80) {
        this.at = at;
        return value + byte * scale;
      }
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
  }

  /** Reads how many items follow. Each has at least a byte, so no damaged number makes room for more. */
  count(): number {
    const count = this.varint();
    if (count > this.buf.length - this.at) throw new Damaged(`${count} items run past the end`);
    return count;
  }

  signed(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  u8(): number {
    const at = this.at;
    this.skip(1);
    return this.buf.readUInt8(at);
  }

  u32(): number {
    const at = this.at;
    this.skip(4);
    return this.buf.readUInt32LE(at);
  }

  hex(length: number): string {
    return this.buf.toString('hex', this.at, this.skip(length));
  }

  latin1(length: number): string {
    return this.buf.toString('latin1', this.at, this.skip(length));
  }

  utf8(length: number): string {
    return this.buf.toString('utf8', this.at, this.skip(length));
  }

  bytes(length: number): Buffer {
    return Buffer.from(this.buf.subarray(this.at, this.skip(length)));
  }

  /** Moves on by `length` bytes; returns the new position. */
  skip(length: number): number {
    this.at += length;
    if (this.at > this.buf.length) throw new Damaged('record runs past the end');
    return this.at;
  }
}
