/**
 * Parses the extended headers of POSIX tar: records "LENGTH KEY=VALUE\n". Values are bytes, since extended
 * attributes are not text.
 */
import { badArchive } from './header.ts';

/** The records of a member, by key. */
export type PaxRecords = Map<string, Buffer>;

/** The prefix of keys for extended attributes; the attribute's name follows. */
export const XATTR_KEY = 'SCHILY.xattr.';
/** Keys of a listing, which names a file's object in the place of its bytes (../listing.ts). */
export const LISTED = { object: 'BYREF.object', size: 'BYREF.size', own: 'BYREF.own' } as const;
const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/**
 * Adds the records of `bytes` to `into`. An empty value removes a record, except for an extended attribute,
 * which may well be empty. Sparse maps repeat keys: `repeated` gets all of them.
 */
export function parsePax(bytes: Buffer, into: PaxRecords, repeated?: [string, Buffer][]): void {
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const space = bytes.indexOf(SPACE, at);
    const length = Number(bytes.toString('latin1', at, space));
    const end = at + length;
    const equals = bytes.indexOf(EQUALS, space);
    const whole = space > at && Number.isInteger(length) && equals > space && equals < end;
    if (!whole || end > bytes.length || bytes[end - 1] !== NEWLINE) {
      throw badArchive('the archive has a damaged extended header');
    }
    const key = bytes.toString('utf8', space + 1, equals);
    const value = Buffer.from(bytes.subarray(equals + 1, end - 1));
    if (value.length === 0 && !key.startsWith(XATTR_KEY)) into.delete(key);
    else into.set(key, value);
    repeated?.push([key, value]);
    at = end;
  }
}

/** Parses a decimal fraction of seconds, such as "1700000000.123456789", to seconds and nanoseconds. */
export function parseTime(text: string): { seconds: number; ns: number } {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (match === null) throw badArchive(`the archive has a bad time (${text})`);
  const [, sign, whole = '0', fraction = ''] = match;
  const ns = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds: Number(whole), ns };
  return ns === 0 ? { seconds: -Number(whole), ns } : { seconds: -Number(whole) - 1, ns: 1e9 - ns };
}

/** Parses a whole number. @throws ByrefError 'badInput' */
export function parseInteger(key: string, value: Buffer): number {
  const number = Number(value.toString('latin1'));
  if (Number.isSafeInteger(number)) return number;
  throw badArchive(`the archive has a bad number (${key})`);
}
