/**
 * The request and the reply buffer, shared by every connection of the process: requests are handled
 * one at a time, each to its end or to its first wait, so nothing is allocated per request. Whoever
 * waits must have copied what it needs from `request`, and writes `reply` only once it answers.
 */

import { ORDINAL_BITS } from '../../base/name-hash.ts';
import { UNIQUE_RESENT } from './wire.ts';

/** Largest READ or WRITE, in bytes (FUSE_MAX_PAGES pages). */
export const MAX_IO = 1024 * 1024;
/** Room for headers before the data. */
const HEADROOM = 4096;
const TWO_32 = 2 ** 32;
/** The part of a cookie that goes into a place's lower word. */
const COOKIE_LOW = 2 ** (32 - ORDINAL_BITS);

/** Node's own methods for one encoding, which its types leave out: no encoding to look up. */
interface Latin1Buffer extends Buffer<ArrayBuffer> {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, at: number): number;
}

export const request = Buffer.from(new ArrayBuffer(HEADROOM + MAX_IO)) as Latin1Buffer;
export const reply = Buffer.from(new ArrayBuffer(HEADROOM + MAX_IO)) as Latin1Buffer;

const requestWords = new Uint32Array(request.buffer);
const replyWords = new Uint32Array(reply.buffer);

/** The request's word at index `word`. */
export const u32 = (word: number): number => requestWords[word] as number;

/** Unsigned, exact below 2^53: node ids, handles, counts. */
export const u64 = (word: number): number =>
  (requestWords[word + 1] as number) * TWO_32 + (requestWords[word] as number);

/** A request's `unique` without the bit that marks it as sent again: the same both times. */
export const requestId = (word: number): number =>
  ((requestWords[word + 1] as number) & ~UNIQUE_RESENT) * TWO_32 + (requestWords[word] as number);

/** Signed: offsets and times. */
export const i64 = (word: number): number =>
  ((requestWords[word + 1] as number) | 0) * TWO_32 + (requestWords[word] as number);

export function put32(word: number, value: number): void {
  replyWords[word] = value;
}

/** Signed or unsigned, two's complement. */
export function put64(word: number, value: number): void {
  replyWords[word] = value;
  replyWords[word + 1] = Math.floor(value / TWO_32);
}

/** A place in a directory: 52 bits of cookie, then those of the ordinal. */
export function putPlace(word: number, cookie: number, ordinal: number): void {
  replyWords[word] = (cookie % COOKIE_LOW) * 2 ** ORDINAL_BITS + ordinal;
  replyWords[word + 1] = Math.floor(cookie / COOKIE_LOW);
}

/** The cookie of a place that a request goes on from. */
export const placeCookie = (word: number): number =>
  (requestWords[word + 1] as number) * COOKIE_LOW +
  ((requestWords[word] as number) >>> ORDINAL_BITS);

export const placeOrdinal = (word: number): number =>
  (requestWords[word] as number) & (2 ** ORDINAL_BITS - 1);

export function putZeros(word: number, end: number): void {
  for (let at = word; at < end; at++) replyWords[at] = 0;
}
