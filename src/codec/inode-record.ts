import type { Ino, Name, ObjectId } from '../base/ids.ts';

/** Values of `data`: where an inode's content is. */
export const DATA_NONE = 0; // directory, device, fifo, socket, and a regular file of 0 bytes
export const DATA_OBJECT = 1; // a template's object: `object`
export const DATA_PRIVATE = 2; // the env's own file `private/<ino>`, from which size, blocks and times are taken
export const DATA_SYMLINK = 3; // `target`

/** Size in bytes and blocks of every directory, as of ext4's smallest: equal trees compare equal. */
export const DIRECTORY_SIZE = 4096;
export const DIRECTORY_BLOCKS = 8;
/** Links of a directory that are not subdirectories: its name and its ".". */
export const DIRECTORY_LINKS = 2;
/** The unit of `blocks` and of st_blocks, in bytes. */
export const BLOCK_BYTES = 512;

/** Bits of `flags`. */
export const FLAG_SHARED = 1; // the shared data path: passthrough from the object (design, rule 2)
export const FLAG_UNSYNCED = 2; // copied up, but the copy's bytes were not fsynced yet
export const FLAG_OWN_ATTRS = 4; // a template's directory: its attributes take precedence over those of templates below
export const FLAG_KEPT = 8; // a template's file that an env keeps although the template changes: it is of the env's own package
/** Attributes that an env has set on a template's file (mode, owner, group): they stay when the template's change. */
export const FLAG_MODE_SET = 16;
export const FLAG_UID_SET = 32;
export const FLAG_GID_SET = 64;
export const FLAG_SET_IDS_GONE = 128; // the env removed set-ID bits: those of later versions do not bring them back

/**
 * All that a file system knows about one inode, as an immutable value. A template's rows hold one
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
  /** How many names the file has; for a directory 2 + its subdirectories. */
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

  /** Directories: the parent and the name in it; 0 and '' for the root, and for anything but a directory. */
  readonly parent: Ino | 0;
  readonly name: Name | '';
  /**
   * Directories in a delta: the stack over which `nlink` was counted (LowerTree.stamp); 0 if no template has
   * the directory. If the stack's stamp is another one, count again.
   */
  readonly stamp: number;
  /**
   * Private data: the private file's ctime when the record was written. A later ctime means that the env
   * changed the file since.
   */
  readonly baseCtime: number;
  readonly baseCtimeNs: number;
}
