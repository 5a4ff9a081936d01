/** On a file that overlayfs copied up: the handle of the lower file that it was. For privileged mounts, and for users'. */
const NAMES: ReadonlySet<string> = new Set(['trusted.overlay.origin', 'user.overlay.origin']);

/** struct ovl_fb: version, magic, length, flags, type of the handle, UUID of its file system, the handle. */
const MAGIC_AT = 1;
const TYPE_AT = 4;
const UUID_AT = 5;
const HANDLE_AT = UUID_AT + 16;
const MAGIC = 0xfb;
/** FILEID_INO64_GEN: what handles of FUSE files are. A FUSE file system has no UUID. */
const INO64_GEN = 0x81;

/** Says "copied up, from an unknown file": what overlayfs itself writes where there are no file handles. */
const UNKNOWN = Buffer.alloc(0);

/** Only overlayfs has these names: it asks for them for each file that it finds in its upper directory. */
export const isOverlayOrigin = (name: string): boolean => NAMES.has(name);

/**
 * Returns what a reader gets as the origin of a file that overlayfs copied up: the value as it was set, or "unknown" for
 * a file of this file system.
 *
 * overlayfs turns the origin's handle into a dentry, and asks FUSE at each access whether that is still good. If the
 * kernel has dropped the lower file's name, it is a dentry without a name: FUSE takes such a one for stale (since Linux
 * 6.16 without asking the server, before that by looking up the name "/"), and every access to the file fails with ESTALE.
 * All that overlayfs needs the origin for is to show the lower file's inode number when it looks the file up anew.
 */
export const shownOrigin = (value: Buffer): Buffer => (isFuseHandle(value) ? UNKNOWN : value);

const isFuseHandle = (value: Buffer): boolean =>
  value.length > HANDLE_AT &&
  value[MAGIC_AT] === MAGIC &&
  value[TYPE_AT] === INO64_GEN &&
  value.subarray(UUID_AT, HANDLE_AT).every((byte) => byte === 0);
