import { MAX_IO, put32, putZeros, u32 } from './buffers.ts';
import {
  INIT_IN,
  INIT_OUT_BYTES,
  KERNEL_MAJOR,
  KERNEL_MINOR,
  OLDEST_MINOR,
  OUT,
  OUT_BYTES,
} from './wire.ts';

/** INIT flags, lower word. */
const INIT = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  EXPLICIT_INVAL_DATA: 1 << 25,
  HANDLE_KILLPRIV_V2: 1 << 28,
  SETXATTR_EXT: 1 << 29,
  INIT_EXT: 1 << 30,
} as const;

/** INIT flags, upper word (from bit 32 in the protocol's numbering). */
const INIT2 = {
  HAS_EXPIRE_ONLY: 1 << 3,
  DIRECT_IO_ALLOW_MMAP: 1 << 4,
  PASSTHROUGH: 1 << 5,
  HAS_RESEND: 1 << 7,
  ALLOW_IDMAP: 1 << 8,
} as const;

/**
 * Flags of the lower word that we want. Not among them: POSIX_LOCKS and FLOCK_LOCKS (the kernel's own locks are
 * right for one mount), WRITEBACK_CACHE (excludes passthrough), AUTO_INVAL_DATA (excluded by EXPLICIT_INVAL_DATA).
 */
const WANTED = Object.values(INIT).reduce((all, flag) => all | flag, 0);
const WANTED2 = INIT2.HAS_EXPIRE_ONLY | INIT2.DIRECT_IO_ALLOW_MMAP | INIT2.HAS_RESEND;

/** The features that a session asks the kernel for. */
export interface Wishes {
  /** All reads and writes go through the driver, as on kernels before 6.9. */
  readonly noPassthrough: boolean;
  /** Lets the mount be id-mapped. */
  readonly allowIdmap: boolean;
  /** How many stacked file systems may lie below, including this one; 1 or 2. */
  readonly maxStackDepth: number;
}

/** The features that the kernel granted at INIT. A resumed session is told these. */
export interface Granted {
  readonly minor: number;
  readonly passthrough: boolean;
  readonly idmap: boolean;
  /** True if FUSE_NOTIFY_RESEND makes the kernel send waiting requests again. */
  readonly resend: boolean;
  readonly setxattrExt: boolean;
}

/**
 * How many background requests (readahead, asynchronous direct I/O) may wait, and from how many on the mount
 * counts as congested.
 */
const MAX_BACKGROUND = 64;
const CONGESTION = 48;
const PAGE_BYTES = 4096;
/** Times are exact to the nanosecond. */
const TIME_GRAN_NS = 1;

/** Reads the kernel's offer from the INIT request. Returns null if it is older than what we speak. */
export function negotiate(wishes: Wishes): Granted | null {
  const minor = Math.min(u32(INIT_IN.minor), KERNEL_MINOR);
  if (u32(INIT_IN.major) !== KERNEL_MAJOR || minor < OLDEST_MINOR) return null;
  const flags2 = granted2(wishes);
  return {
    minor,
    passthrough: (flags2 & INIT2.PASSTHROUGH) !== 0,
    idmap: (flags2 & INIT2.ALLOW_IDMAP) !== 0,
    resend: (flags2 & INIT2.HAS_RESEND) !== 0,
    setxattrExt: (u32(INIT_IN.flags) & INIT.SETXATTR_EXT) !== 0,
  };
}

/** Returns the flags of the upper word that the kernel has and we want. */
function granted2(wishes: Wishes): number {
  if ((u32(INIT_IN.flags) & INIT.INIT_EXT) === 0) return 0;
  const passthrough = wishes.noPassthrough ? 0 : INIT2.PASSTHROUGH;
  const idmap = wishes.allowIdmap ? INIT2.ALLOW_IDMAP : 0;
  return u32(INIT_IN.flags2) & (WANTED2 | passthrough | idmap);
}

/** Fills the INIT reply, struct fuse_init_out. */
export function putInitOut(wishes: Wishes, granted: Granted): number {
  const body = OUT.body;
  putZeros(body, body + INIT_OUT_BYTES / 4);
  put32(body, KERNEL_MAJOR);
  put32(body + 1, granted.minor);
  put32(body + 2, u32(INIT_IN.maxReadahead));
  put32(body + 3, u32(INIT_IN.flags) & WANTED);
  put32(body + 4, MAX_BACKGROUND | (CONGESTION << 16));
  put32(body + 5, MAX_IO);
  put32(body + 6, TIME_GRAN_NS);
  put32(body + 7, MAX_IO / PAGE_BYTES);
  put32(body + 8, granted2(wishes));
  put32(body + 9, granted.passthrough ? wishes.maxStackDepth : 0);
  return OUT_BYTES + INIT_OUT_BYTES;
}
