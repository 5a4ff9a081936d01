/**
 * The cases that fail over fuse-native, each by the limit of the transport that it meets (names of
 * src/driver/fuse-native/limits.ts). All other cases must pass, and these must fail: the list is exact.
 */
export const POSIX_EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  'names-utf8': [
    'names: names are bytes: not UTF-8, control characters, spaces',
    'names: a 255-byte name of high bytes is whole in a listing',
    'symlinks: a target is kept as it is, to 4095 bytes',
  ],
  unlinked: [
    'directories: a removed working directory is empty, and nothing can be made in it',
    'directories: an open directory that is removed lists nothing, and stat shows no links',
    'unnamed files: an unlinked open file can be read, written, truncated and stat’ed',
  ],
  tmpfile: [
    'unnamed files: O_TMPFILE makes a file without a name, and linkat gives it one',
    'unnamed files: O_TMPFILE with O_EXCL can never be linked',
    'permission checks: umask takes bits from new files, directories and nodes',
    'acls: O_TMPFILE inherits the default ACL',
  ],
  'rename-flags': [
    'rename: NOREPLACE: EEXIST if the target is there, else as usual',
    'rename: EXCHANGE swaps two files, and keeps their inodes',
    'rename: EXCHANGE swaps a file with a full directory, over parents',
    'rename: EXCHANGE swaps two directories with a directory’s own ancestor refused',
    'rename: WHITEOUT leaves a 0/0 character device behind',
    'overlays: what was copied up is found after the kernel dropped all names',
    'overlays: a hard link is good after the name that was looked up first went',
    'overlays: a user’s truncate takes set-ID bits in an overlay, too',
  ],
  holes: ['space: SEEK_DATA and SEEK_HOLE find data, holes and the end'],
  fallocate: [
    'space: allocation grows the file, with zeros and blocks',
    'space: KEEP_SIZE allocates beyond the end and leaves the size',
    'space: PUNCH_HOLE makes zeros and frees blocks',
    'space: ZERO_RANGE makes zeros, and may grow the file',
    'data: I/O of all kinds at random agrees with a copy in memory',
    'set-ID bits and callers: no change by a user leaves set-user-ID, nor set-group-ID with group execute',
    'set-ID bits and callers: set-group-ID without group execute stays for members of the file’s group, not for others',
    'set-ID bits and callers: capabilities in a user namespace of one’s own keep no bits, and show no trusted attributes',
    'execution: a set-ID program that a user changed gives him no rights',
  ],
  nanoseconds: [
    'times: times before 1970 and after 2038',
    'times: times that were set stay over close, rename, link, chmod and read',
  ],
  'one-time': [
    'times: utimensat sets nanoseconds, exactly, of files, directories and links',
    'times: UTIME_OMIT leaves a time, UTIME_NOW sets the clock',
  ],
  caller: [
    'permission checks: a new entry belongs to who made it; in a set-group-ID directory to its group',
    'permission checks: in a sticky directory only owners remove and rename',
    'nodes: devices are root’s to make, fifos anyone’s',
    'set-ID bits and callers: a chown by an owner who is not in the group takes it as well',
  ],
  acl: [
    'acls: a named user gets in, others do not, and the mask is the group bits',
    'acls: a named group gets in',
    'acls: chmod sets the mask, and so takes a named user’s rights',
    'acls: a default ACL is inherited by files, and umask is not applied',
    'acls: a default ACL is inherited by directories, both as access and default',
    'acls: a default ACL of three entries gives its mode, without an ACL',
  ],
  'hard-links': ['locks: flock is on the file, not on its name'],
  handles: ['file handles: a handle survives rename and the drop of the cached name'],
};

/** Both data paths meet them. */
const inTrees = (names: readonly string[]): readonly string[] =>
  ['etc', 'usr'].flatMap((tree) => names.map((name) => `${tree}: ${name}`));

export const TEMPLATE_EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  nanoseconds: inTrees([
    'all is there as the template had it',
    'open for writing without a write leaves everything as it is',
    'chmod, chown, utimes and xattrs keep data, inode and mtime',
  ]),
  holes: inTrees(['holes stay holes']),
  fallocate: inTrees([
    'set-ID programs that a user changed give him no rights',
    'punching a hole, and allocation',
    'I/O of all kinds at random agrees with a copy in memory',
  ]),
  'rename-flags': inTrees([
    'rename of files: over each other, NOREPLACE, EXCHANGE',
    'an overlay of two of its directories',
    'an overlay’s upper file is written while it is read there',
  ]),
  'names-utf8': inTrees([
    'rm -r of the whole tree, then the same names anew',
    'names that are not UTF-8 can be changed, renamed and removed',
    'tar and back is the same tree',
  ]),
  unlinked: inTrees(['a working directory in the template is renamed and removed']),
};
