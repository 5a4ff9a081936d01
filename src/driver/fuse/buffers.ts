/**
 * The request and the reply buffer, shared by every connection of the process. Requests are handled one at a time,
 * each to its end or to its first wait, so nothing is allocated per request. A handler that waits must first copy
 * what it needs from `request`, and write `reply` only when it answers.
 */

import { ORDINAL_BITS } from '../../base/name-hash.ts';
import { UNIQUE_RESENT } from './wire.ts';

/** The largest READ or WRITE, in bytes (FUSE_MAX_PAGES pages). */
export const MAX_IO = 1024 * 1024;
/** Bytes for headers before the data. */
const HEADROOM = 4096;
const TWO_32 = 2 ** 32;
/** The range of the part of a cookie that goes into the lower word of a place. */
const COOKIE_LOW = 2 ** (32 - ORDINAL_BITS);

/** Node's own methods for one encoding, which its types leave out: they need no look-up of the encoding. */
interface Latin1Buffer extends Buffer<ArrayBuffer> {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, at: number): number;
}

/** The bytes of the request that is being handled. */
export const request = Buffer.from(new ArrayBuffer(HEADROOM + MAX_IO)) as Latin1Buffer;
/** The bytes of the reply that is being written. */
export const reply = Buffer.from(new ArrayBuffer(HEADROOM + MAX_IO)) as Latin1Buffer;

const requestWords = new Uint32Array(request.buffer);
const replyWords = new Uint32Array(reply.buffer);

/** Returns the request's word at index `word`. */
export const u32 = (word: number): number => requestWords[word] as number;

/** Returns an unsigned 64-bit field of the request, exact below 2^53: node ids, handles, counts. */
export const u64 = (word: number): number =>
  (requestWords[word + 1] as number) * TWO_32 + (requestWords[word] as number);

/** Returns a request's `unique` without the bit that marks it as sent again, so that it is the same both times. */
export const requestId = (word: number): number =>
  ((requestWords[word + 1] as number) & ~UNIQUE_RESENT) * TWO_32 + (requestWords[word] as number);

/** Returns a signed 64-bit field of the request: offsets and times. */
export const i64 = (word: number): number =>
  ((requestWords[word + 1] as number) | 0) * TWO_32 + (requestWords[word] as number);

/** Sets the reply's word at index `word`. */
export function put32(word: number, value: number): void {
  replyWords[word] = value;
}

/** Sets a 64-bit field of the reply, signed or unsigned, in two's complement. */
export function put64(word: number, value: number): void {
  replyWords[word] = value;
  replyWords[word + 1] = Math.floor(value / TWO_32);
}

/** Sets a place in a directory: 52 bits of cookie, then the bits of the ordinal. */
export function putPlace(word: number, cookie: number, ordinal: number): void {
  replyWords[word] = (cookie % COOKIE_LOW) * 2 ** ORDINAL_BITS + ordinal;
  replyWords[word + 1] = Math.floor(cookie / COOKIE_LOW);
}

/** Returns the cookie of the place from which a request continues. */
export const placeCookie = (word: number): number =>
  (requestWords[word + 1] as number) * COOKIE_LOW +
  ((requestWords[word] as number) >>> ORDINAL_BITS);

/** Returns the ordinal of the place from which a request continues. */
export const placeOrdinal = (word: number): number =>
  (requestWords[word] as number) & (2 ** ORDINAL_BITS - 1);

/** Sets the reply's words from `word` up to `end` to zero. */
export function putZeros(word: number, end: number): void {
  for (let at = word; at < end; at++) replyWords[at] = 0;
}
