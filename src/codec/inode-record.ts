import type { Ino, Name, ObjectId } from '../base/ids.ts';

/** Where a regular file's bytes are, or what stands for them. */
export const DATA_NONE = 0; // directory, device, fifo, socket, and a regular file of 0 bytes
export const DATA_OBJECT = 1; // a template's object: `object`
export const DATA_PRIVATE = 2; // the env's own file `private/<ino>`; size, blocks and times are its
export const DATA_SYMLINK = 3; // `target`

/** Record flags. */
export const FLAG_SHARED = 1; // the shared data path: passthrough from the object (design, rule 2)
export const FLAG_UNSYNCED = 2; // copied up, but the copy's bytes were not fsynced yet
export const FLAG_OWN_ATTRS = 4; // a template's directory: its attributes go before those of templates below
export const FLAG_KEPT = 8; // a template's file that an env keeps as it is, whatever the template gets: of a package of its own
/** Attributes that an env has set on a template's file, whatever the template's are by now: its mode, owner, group. */
export const FLAG_MODE_SET = 16;
export const FLAG_UID_SET = 32;
export const FLAG_GID_SET = 64;
export const FLAG_SET_IDS_GONE = 128; // it took away set-ID bits: those of later versions do not come back

/**
 * All that a file system knows about one inode, as an immutable value: a template's rows hold one
 * each, and an env's delta holds one for every inode that it created or changed.
 *
 * Times are whole seconds since the epoch (may be negative) and nanoseconds 0..999,999,999. `size`
 * is in bytes, `blocks` in units of 512 bytes. `mode` has type and permission bits.
 */
export interface InodeRecord {
  readonly ino: Ino;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number as stat gives it (glibc's makedev for major < 4096, minor < 2^20), else 0. */
  readonly rdev: number;
  /** Names of the file; for a directory 2 + its subdirectories. */
  readonly nlink: number;
  readonly size: number;
  readonly blocks: number;
  readonly atime: number;
  readonly atimeNs: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly ctime: number;
  readonly ctimeNs: number;
  /** DATA_NONE, DATA_OBJECT, DATA_PRIVATE or DATA_SYMLINK. */
  readonly data: number;
  /** The object, where data is DATA_OBJECT, else ''. */
  readonly object: ObjectId | '';
  /** The target, where data is DATA_SYMLINK, else ''. */
  readonly target: string;
  /** FLAG_* bits. */
  readonly flags: number;
  /** Extended attributes by full name ("user.x"), or null for none. */
  readonly xattrs: ReadonlyMap<string, Buffer> | null;

  /** Directories: where it hangs (0 and '' for the root, and for what is not a directory). */
  readonly parent: Ino | 0;
  readonly name: Name | '';
  /**
   * Directories in a delta: which stack `nlink` was counted over (LowerTree.stamp), 0 if it has no
   * template beneath. Another stamp means: count again.
   */
  readonly stamp: number;
  /** Private data: ctime of the private file when the record was written; a later one is the env's. */
  readonly baseCtime: number;
  readonly baseCtimeNs: number;
}
