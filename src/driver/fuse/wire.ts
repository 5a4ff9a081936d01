/**
 * The FUSE kernel protocol 7.45, as numbers. Offsets in request and reply structures are word indexes (4 bytes)
 * from the start of the message, header included; a 64-bit field takes two words.
 */
/** The newest protocol version that we speak. */
export const KERNEL_MAJOR = 7;
export const KERNEL_MINOR = 45;
/** Minor version of Linux 5.4: the oldest protocol whose structures all have today's size. */
export const OLDEST_MINOR = 31;

/** The opcodes of requests. */
export const OP = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;
/** All opcodes are below this; counters and the handler table have one slot each. */
export const OPCODES = 64;

/** struct fuse_in_header: 40 bytes. */
export const IN = { len: 0, opcode: 1, unique: 2, nodeid: 4, uid: 6, gid: 7, pid: 8 } as const;
export const IN_BYTES = 40;

/** struct fuse_out_header: 16 bytes. */
export const OUT = { len: 0, error: 1, unique: 2, body: 4 } as const;
export const OUT_BYTES = 16;

/** The bit of `unique`'s upper word that marks a request as sent again (FUSE_NOTIFY_RESEND). */
export const UNIQUE_RESENT = 0x80000000;

// Requests: the fields that we read. A name or data follows each structure, at `*_BYTES`.
export const INIT_IN = { major: 10, minor: 11, maxReadahead: 12, flags: 13, flags2: 14 } as const;
export const FORGET_IN = { count: 10 } as const;
export const BATCH_FORGET_IN = { count: 10, first: 12, words: 4 } as const;
export const SETATTR_IN = {
  valid: 10,
  fh: 12,
  size: 14,
  atime: 18,
  mtime: 20,
  ctime: 22,
  atimeNs: 24,
  mtimeNs: 25,
  ctimeNs: 26,
  mode: 27,
  uid: 29,
  gid: 30,
} as const;
export const MKNOD_IN = { mode: 10, rdev: 11, umask: 12 } as const;
export const MKNOD_IN_BYTES = 16;
export const MKDIR_IN = { mode: 10, umask: 11 } as const;
export const MKDIR_IN_BYTES = 8;
export const RENAME_IN = { newDir: 10 } as const;
export const RENAME_IN_BYTES = 8;
export const RENAME2_IN = { newDir: 10, flags: 12 } as const;
export const RENAME2_IN_BYTES = 16;
export const LINK_IN = { oldNode: 10 } as const;
export const LINK_IN_BYTES = 8;
export const OPEN_IN = { flags: 10, openFlags: 11 } as const;
export const CREATE_IN = { flags: 10, mode: 11, umask: 12, openFlags: 13 } as const;
export const CREATE_IN_BYTES = 16;
export const RELEASE_IN = { fh: 10 } as const;
/** Of READ, READDIR and READDIRPLUS. */
export const READ_IN = { fh: 10, offset: 12, size: 14 } as const;
export const WRITE_IN = { fh: 10, offset: 12, size: 14, writeFlags: 15, flags: 18 } as const;
export const WRITE_IN_BYTES = 40;
export const FSYNC_IN = { fh: 10, flags: 12 } as const;
export const SETXATTR_IN = { size: 10, flags: 11, setxattrFlags: 12 } as const;
export const SETXATTR_IN_BYTES = 16;
export const SETXATTR_COMPAT_IN_BYTES = 8;
export const GETXATTR_IN = { size: 10 } as const;
export const GETXATTR_IN_BYTES = 8;
export const INTERRUPT_IN = { unique: 10 } as const;
export const FALLOCATE_IN = { fh: 10, offset: 12, length: 14, mode: 16 } as const;
export const LSEEK_IN = { fh: 10, offset: 12, whence: 14 } as const;
export const COPY_FILE_RANGE_IN = {
  fhIn: 10,
  offIn: 12,
  fhOut: 16,
  offOut: 18,
  length: 20,
} as const;

// Replies: word offsets from the start of the structure (added to where it begins), and sizes in bytes.
export const ATTR_BYTES = 88;
export const ATTR_OUT = { valid: 0, validNs: 2, attr: 4 } as const;
export const ATTR_OUT_BYTES = 16 + ATTR_BYTES;
export const ENTRY_OUT = {
  nodeid: 0,
  generation: 2,
  entryValid: 4,
  attrValid: 6,
  entryValidNs: 8,
  attrValidNs: 9,
  attr: 10,
} as const;
export const ENTRY_OUT_BYTES = 40 + ATTR_BYTES;
export const OPEN_OUT = { fh: 0, openFlags: 2, backingId: 3 } as const;
export const OPEN_OUT_BYTES = 16;
export const STATX_OUT_BYTES = 32 + 256;
export const STATFS_OUT_BYTES = 80;
export const INIT_OUT_BYTES = 64;
export const DIRENT_BYTES = 24;

/** Bits of SETATTR's `valid`: the attributes that it sets. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

/** Flags in the reply to an open. */
export const FOPEN = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  NOFLUSH: 1 << 5,
  PASSTHROUGH: 1 << 7,
} as const;

/** Flags in requests, each named after its request. */
export const OPEN_KILL_SUIDGID = 1 << 0;
export const WRITE_CACHE = 1 << 0;
export const WRITE_KILL_SUIDGID = 1 << 2;
export const FSYNC_FDATASYNC = 1 << 0;
export const SETXATTR_ACL_KILL_SGID = 1 << 0;

/** Codes of notifications to the kernel. */
export const NOTIFY = {
  INVAL_INODE: 2,
  INVAL_ENTRY: 3,
  RESEND: 7,
  INC_EPOCH: 8,
  PRUNE: 9,
} as const;
