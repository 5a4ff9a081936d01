/** Names of files in an env's directory (docs/internals/FORMAT.md). */
export const LOCK_FILE = 'lock';
export const LINK_DIR = 'link';
export const NEW_LINK_DIR = 'link.new';
export const PRIVATE_DIR = 'private';
/** The directory of what no record names: see lost-files.ts. */
export const LOST_DIR = 'lost+found';
/** While it is there, the env is about to be destroyed: what it holds need not be put on disk when it is closed. */
export const DISCARD_MARK = 'discard';
/** What the env has set aside for a full disk: see room.ts. */
export const ROOM_FILE = 'room';
/** A journal segment's file that is kept for a full disk: see spare-segment.ts. */
export const SPARE_FILE = 'spare';
const SEGMENT_PREFIX = 'journal.';

/** Returns a journal segment's file name: its number as 16 hex digits, so that names sort as numbers do. */
export const segmentName = (number: number): string =>
  SEGMENT_PREFIX + number.toString(16).padStart(16, '0');

/** Returns the number in a segment's file name, or -1 if it is not one. */
export function segmentNumber(name: string): number {
  const digits = name.startsWith(SEGMENT_PREFIX) ? name.slice(SEGMENT_PREFIX.length) : '';
  return /^[0-9a-f]{16}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}

/** Returns a private file's name: its ino in hex. */
export const privateName = (ino: number): string => ino.toString(16);

/** Returns the ino in a private file's name, or -1 if it is not one. */
export const privateIno = (name: string): number =>
  /^[0-9a-f]{1,14}$/.test(name) ? Number.parseInt(name, 16) : -1;

/** The directory of the env's volumes, of which this process only counts the bytes. */
export const VOLUMES_DIR = 'volumes';
