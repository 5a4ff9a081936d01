/**
 * A thing that the transport can't do, by name: for `byref doctor`, the mount's warning and the tests' list of
 * expected exceptions. "libfuse 2": its path interface has no such thing; "add-on": the npm package drops it on
 * the way.
 */
export interface Limit {
  readonly name: string;
  readonly cause: 'libfuse 2' | 'add-on';
  readonly effect: string;
}

const limit = (name: string, cause: Limit['cause'], effect: string): Limit => ({
  name,
  cause,
  effect,
});

/** The limits of this transport. */
export const LIMITS: readonly Limit[] = [
  limit('passthrough', 'libfuse 2', 'every read and write goes through the driver'),
  limit('resume', 'libfuse 2', 'a driver that dies takes the mount along'),
  limit('idmap', 'libfuse 2', 'the mount can not be id-mapped'),
  limit(
    'caller',
    'add-on',
    'what an unprivileged process creates belongs to root, and its rights are not known',
  ),
  limit('nanoseconds', 'add-on', 'times have milliseconds, and none before 1970'),
  limit('one-time', 'add-on', 'utimensat() of only one of the two times changes nothing'),
  limit('ino-32', 'add-on', 'inode numbers have 32 bits, other ones than by the default transport'),
  limit(
    'names-utf8',
    'add-on',
    'files whose names are not UTF-8 are listed, but can not be opened',
  ),
  limit(
    'rename-flags',
    'libfuse 2',
    'RENAME_NOREPLACE and RENAME_EXCHANGE are refused, and overlayfs is not writable on it',
  ),
  limit('tmpfile', 'libfuse 2', 'O_TMPFILE is refused'),
  limit('fallocate', 'add-on', 'fallocate() is refused, so holes can not be punched'),
  limit('holes', 'libfuse 2', 'SEEK_DATA and SEEK_HOLE see one extent per file'),
  limit('copy-range', 'libfuse 2', 'copy_file_range() copies through the page cache'),
  limit('acl', 'libfuse 2', 'POSIX ACLs are kept, but not enforced or inherited'),
  limit('handles', 'libfuse 2', 'name_to_handle_at() is refused'),
  limit('unlinked', 'libfuse 2', 'an unlinked open file shows as .fuse_hiddenN until it is closed'),
  limit('hard-links', 'libfuse 2', 'hard links do not share mappings, locks and cached pages'),
  limit(
    'type-changes',
    'libfuse 2',
    'a path over a name that a patch gives another type can fail once: ENOTDIR, EIO',
  ),
  limit(
    'old-pages',
    'libfuse 2',
    'who holds a file open that a patch replaces may read pages of the new one, once somebody opened that',
  ),
  limit('syncfs', 'libfuse 2', 'syncfs() does not reach the journal'),
];
