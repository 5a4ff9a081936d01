/**
 * Writes POSIX (pax) tar. What does not fit in a ustar header goes into an extended header before it, under GNU
 * tar's keys, with bytes unchanged.
 */
import type { Range } from '../../../native/data-ranges.ts';
import { BLOCK } from './header.ts';

/** A member to write; names are binary strings. */
export interface NewMember {
  readonly path: string;
  /** One character, as in tar(5). */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** How many bytes of content follow. */
  readonly size: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly linkPath: string;
  readonly major: number;
  readonly minor: number;
  /** Further records for the extended header. */
  readonly pax: readonly (readonly [string, Buffer])[];
}

const NAME_BYTES = 100;
const ID_MAX = 0o7777777;
const SIZE_MAX = 0o77777777777;
const SPACE = 0x20;
const PAX_NAME = 'PaxHeaders/';

/** Returns all header blocks of a member. */
export function memberHeader(member: NewMember): Buffer {
  const records = extendedRecords(member);
  if (records.length === 0) return headerBlock(member);
  const bytes = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  const name = PAX_NAME + member.path.slice(-(NAME_BYTES - PAX_NAME.length));
  const header = {
    ...member,
    path: name,
    type: 'x',
    mode: 0o644,
    size: bytes.length,
    linkPath: '',
  };
  return Buffer.concat([headerBlock(header), bytes, padding(bytes.length), headerBlock(member)]);
}

/**
 * Returns all blocks before the data of a file with holes, in GNU tar's format 1.0, which GNU tar, bsdtar,
 * Python and others read: the map of the data is the first part of the content. The data of `ranges`, [begin,
 * end), must follow, and then the padding of their sum.
 */
export function sparseHeader(member: NewMember, ranges: readonly Range[]): Buffer {
  const { path, size, pax } = member;
  // An empty range at the end tells the file's length to readers that use only the map.
  const listed = ranges.at(-1)?.[1] === size ? ranges : [...ranges, [size, size] as const];
  const numbers = listed.flatMap(([begin, end]) => [begin, end - begin]);
  const map = Buffer.from([listed.length, ...numbers].map((number) => `${number}\n`).join(''));
  const stored = ranges.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const text = (key: string, value: string) => [key, Buffer.from(value, 'latin1')] as const;
  const slash = path.lastIndexOf('/') + 1;
  const header = memberHeader({
    ...member,
    // A reader that does not know sparse files unpacks this path instead.
    path: `${path.slice(0, slash)}GNUSparseFile.0/${path.slice(slash)}`,
    size: map.length + padding(map.length).length + stored,
    pax: [
      ...pax,
      text('GNU.sparse.major', '1'),
      text('GNU.sparse.minor', '0'),
      text('GNU.sparse.name', path),
      text('GNU.sparse.realsize', String(size)),
    ],
  });
  return Buffer.concat([header, map, padding(map.length)]);
}

/** Returns the zeros that follow `size` bytes of content. */
export const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);

/** The blocks that follow the last member. */
export const END_MARK = Buffer.alloc(2 * BLOCK);

function extendedRecords(member: NewMember): (readonly [string, Buffer])[] {
  const { path, linkPath, uid, gid, size, mtime, mtimeNs, pax } = member;
  const records: [string, Buffer][] = [];
  const text = (key: string, value: string) => records.push([key, Buffer.from(value, 'latin1')]);
  if (path.length > NAME_BYTES) text('path', path);
  if (linkPath.length > NAME_BYTES) text('linkpath', linkPath);
  if (uid > ID_MAX) text('uid', String(uid));
  if (gid > ID_MAX) text('gid', String(gid));
  if (size > SIZE_MAX) text('size', String(size));
  if (mtimeNs !== 0 || mtime < 0 || mtime > SIZE_MAX) text('mtime', decimal(mtime, mtimeNs));
  return [...records, ...pax];
}

/** Formats a time. Seconds may be negative, nanoseconds are not: -0.5 s is (-1, 500,000,000). */
function decimal(seconds: number, ns: number): string {
  if (seconds >= 0 || ns === 0) return `${seconds}.${String(ns).padStart(9, '0')}`;
  return `-${-(seconds + 1)}.${String(1e9 - ns).padStart(9, '0')}`;
}

/** Returns "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.byteLength(key) + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length++;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
}

function headerBlock(member: NewMember): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number, max: number): void => {
    const digits = Math.min(Math.max(value, 0), max)
      .toString(8)
      .padStart(length - 1, '0');
    block.write(digits, at, 'latin1');
  };
  block.write(member.path.slice(0, NAME_BYTES), 0, 'latin1');
  octal(member.mode & 0o7777, 100, 8, ID_MAX);
  octal(member.uid, 108, 8, ID_MAX);
  octal(member.gid, 116, 8, ID_MAX);
  octal(member.size, 124, 12, SIZE_MAX);
  octal(member.mtime, 136, 12, SIZE_MAX);
  block.fill(SPACE, 148, 156);
  block.write(member.type, 156, 'latin1');
  block.write(member.linkPath.slice(0, NAME_BYTES), 157, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  octal(member.major, 329, 8, ID_MAX);
  octal(member.minor, 337, 8, ID_MAX);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
