/** Linux errno values (asm-generic), as the kernel protocol carries them. */
export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const E2BIG = 7;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const EXDEV = 18;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOTTY = 25;
export const ETXTBSY = 26;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const EMLINK = 31;
export const ERANGE = 34;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const ENOTEMPTY = 39;
export const ENODATA = 61;
export const EPROTO = 71;
export const EOVERFLOW = 75;
export const EOPNOTSUPP = 95;
export const ENOTCONN = 107;
export const ESTALE = 116;
export const EDQUOT = 122;

/** Returns true for the -errno of a disk, or of a quota on it, that is used up. */
export const isFull = (result: number): boolean => result === -ENOSPC || result === -EDQUOT;

const SHORTAGES: ReadonlySet<number> = new Set([-EMFILE, -ENFILE, -ENOMEM]);

/** Returns true for an -errno with which nothing was done, because this process or the machine lacks descriptors or memory. */
export const isShortage = (result: number): boolean => SHORTAGES.has(result);
