/** Fills the arrays from which the add-on makes libfuse's structures: 32-bit words, 64-bit values low word first. */
import { type Ino, isPrivateIno, PRIVATE_INO_BASE } from '../../base/ids.ts';
import type { Attr } from '../core/api.ts';
import type { SpaceStat } from '../core/ports.ts';

const TWO_32 = 2 ** 32;
/** The mark of a private ino in the 32 bits that the add-on has for an ino. */
const PRIVATE_BIT = 2 ** 31;
const STAT_WORDS = 18;
const STATFS_WORDS = 11;
const BLOCK_SIZE = 4096;
const NAME_MAX = 255;

const STAT = {
  mode: 0,
  uid: 1,
  gid: 2,
  size: 3,
  nlink: 6,
  ino: 7,
  rdev: 8,
  blksize: 9,
  blocks: 10,
  atime: 12,
  mtime: 14,
  ctime: 16,
} as const;

/**
 * Shortens an ino to 32 bits: template inos stay as they are, private ones are their low bits with a mark. Both
 * are unique below 2^31.
 */
export const shortIno = (ino: number): number =>
  isPrivateIno(ino as Ino) ? PRIVATE_BIT + ((ino - PRIVATE_INO_BASE) % PRIVATE_BIT) : ino;

/** Returns struct stat; times are whole milliseconds, never before 1970. */
export function statWords(attr: Attr): Uint32Array {
  const words = new Uint32Array(STAT_WORDS);
  words[STAT.mode] = attr.mode;
  words[STAT.uid] = attr.uid;
  words[STAT.gid] = attr.gid;
  setWide(words, STAT.size, attr.size);
  words[STAT.nlink] = attr.nlink;
  words[STAT.ino] = shortIno(attr.ino);
  words[STAT.rdev] = attr.rdev;
  words[STAT.blksize] = BLOCK_SIZE;
  setWide(words, STAT.blocks, attr.blocks);
  setWide(words, STAT.atime, milliseconds(attr.atime, attr.atimeNs));
  setWide(words, STAT.mtime, milliseconds(attr.mtime, attr.mtimeNs));
  setWide(words, STAT.ctime, milliseconds(attr.ctime, attr.ctimeNs));
  return words;
}

/** Returns what a directory listing shows of an entry: its number and type. */
export function entryWords(ino: number, type: number): Uint32Array {
  const words = new Uint32Array(STAT_WORDS);
  words[STAT.mode] = type;
  words[STAT.ino] = shortIno(ino);
  return words;
}

/** Returns struct statvfs; counts beyond 32 bits show as the most that fits. */
export function spaceWords(space: SpaceStat): Uint32Array {
  const { bsize, blocks, bfree, bavail, files, ffree } = space;
  const fields = [bsize, bsize, blocks, bfree, bavail, files, ffree, ffree, 0, 0, NAME_MAX];
  return Uint32Array.from({ length: STATFS_WORDS }, (_, i) => Math.min(fields[i]!, TWO_32 - 1));
}

const milliseconds = (sec: number, nsec: number): number =>
  Math.max(0, sec * 1000 + Math.floor(nsec / 1e6));

function setWide(words: Uint32Array, at: number, value: number): void {
  words[at] = value % TWO_32;
  words[at + 1] = Math.floor(value / TWO_32);
}

/** Joins the two words of a 64-bit value. */
export const wide = (low: number, high: number): number => low + high * TWO_32;
