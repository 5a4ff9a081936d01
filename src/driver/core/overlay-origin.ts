/**
 * Xattrs of a file that overlayfs copied up, with the handle of its lower file: for privileged mounts, and for
 * users'.
 */
const NAMES: ReadonlySet<string> = new Set(['trusted.overlay.origin', 'user.overlay.origin']);

/** Offsets in struct ovl_fb: version, magic, length, flags, type of the handle, UUID of its file system, the handle. */
const MAGIC_AT = 1;
const TYPE_AT = 4;
const UUID_AT = 5;
const HANDLE_AT = UUID_AT + 16;
const MAGIC = 0xfb;
/** FILEID_INO64_GEN, the type of a FUSE file's handle. A FUSE file system has no UUID. */
const INO64_GEN = 0x81;

/** The value for "copied up, from an unknown file": overlayfs itself writes it where there are no file handles. */
const UNKNOWN = Buffer.alloc(0);

/**
 * Returns true for the names of these xattrs. Only overlayfs uses them: it asks for them for each file in its
 * upper directory.
 */
export const isOverlayOrigin = (name: string): boolean => NAMES.has(name);

/**
 * Returns the origin that a reader gets of a file that overlayfs copied up: the value as it was set, or "unknown"
 * if it names a file of a FUSE file system.
 *
 * overlayfs turns the origin's handle into a dentry, and asks FUSE at each access whether that is still good. If
 * the kernel has dropped the lower file's name, the dentry has no name. FUSE takes such a dentry for stale (since
 * Linux 6.16 without asking the server, before that by looking up the name "/"), and every access to the file
 * fails with ESTALE. overlayfs needs the origin only to show the lower file's inode number when it looks the file
 * up anew.
 */
export const shownOrigin = (value: Buffer): Buffer => (isFuseHandle(value) ? UNKNOWN : value);

const isFuseHandle = (value: Buffer): boolean =>
  value.length > HANDLE_AT &&
  value[MAGIC_AT] === MAGIC &&
  value[TYPE_AT] === INO64_GEN &&
  value.subarray(UUID_AT, HANDLE_AT).every((byte) => byte === 0);
