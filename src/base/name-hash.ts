import type { Name } from './ids.ts';

/**
 * Cookies: each name's position in its directory. READDIR resumes after a cookie, whatever was added or
 * removed meanwhile, because entries are always listed in cookie order. Same idea as ext4's htree.
 *
 * 52 bits from two 32-bit multiplicative hashes. 0 means "from the start", 1 and 2 are "." and "..".
 * Two names of one directory may share a cookie (about 1 in 10,000 directories of a million names): they are told
 * apart by their ordinals.
 */
export const COOKIE_START = 0;
export const COOKIE_DOT = 1;
export const COOKIE_DOTDOT = 2;
const COOKIE_FIRST = 3;
const TWO_32 = 2 ** 32;

/** A position among names of one cookie: below ORDINAL_LAST or, after the last of them, ORDINAL_LAST. */
export const ORDINAL_BITS = 11;
export const ORDINAL_LAST = 2 ** ORDINAL_BITS - 1;

/** Returns a name's cookie, 3 or more. */
export function nameCookie(name: Name): number {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b);
    b = (b << 13) | (b >>> 19);
  }
  a = Math.imul(a ^ (a >>> 15), 0x2c1b3c6d);
  b = Math.imul(b ^ (b >>> 16), 0xc2b2ae35);
  b ^= b >>> 13;
  a ^= a >>> 12;
  const cookie = (b >>> 12) * TWO_32 + (a >>> 0);
  return cookie < COOKIE_FIRST ? COOKIE_FIRST : cookie;
}

/** Returns a name's place among names that share a cookie: another hash of the name, below ORDINAL_LAST. */
export function nameOrdinal(name: Name): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++)
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x5bd1e995) >>> 7;
  return hash % ORDINAL_LAST;
}
