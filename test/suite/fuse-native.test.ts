import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/fuse-native/limits.ts';
import { declareEnv } from './byref.ts';
import { declareSuite, type Exceptions } from './declare.ts';

/** The cases that a limit of the second transport makes fail, by its name in LIMITS. */
const POSIX: Exceptions = {
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
  ],
  holes: ['space: SEEK_DATA and SEEK_HOLE find data, holes and the end'],
  fallocate: [
    'space: allocation grows the file, with zeros and blocks',
    'space: KEEP_SIZE allocates beyond the end and leaves the size',
    'space: PUNCH_HOLE makes zeros and frees blocks',
    'space: ZERO_RANGE makes zeros, and may grow the file',
  ],
  nanoseconds: [
    'times: utimensat sets nanoseconds, exactly, of files, directories and links',
    'times: UTIME_OMIT leaves a time, UTIME_NOW sets the clock',
    'times: times before 1970 and after 2038',
    'times: times that were set stay over close, rename, link, chmod and read',
  ],
  caller: [
    'permission checks: a new entry belongs to who made it; in a set-group-ID directory to its group',
    'permission checks: in a sticky directory only owners remove and rename',
    'nodes: devices are root’s to make, fifos anyone’s',
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

/** The same on both data paths. */
const LACKING: Exceptions = {
  nanoseconds: [
    'all is there as the template had it',
    'open for writing without a write leaves everything as it is',
    'chmod, chown, utimes and xattrs keep data, inode and mtime',
  ],
  holes: ['holes stay holes'],
  fallocate: ['punching a hole, and allocation'],
  'rename-flags': ['rename of files: over each other, NOREPLACE, EXCHANGE'],
  'names-utf8': [
    'rm -r of the whole tree, then the same names anew',
    'names that are not UTF-8 can be changed, renamed and removed',
    'tar and back is the same tree',
  ],
  unlinked: ['a working directory in the template is renamed and removed'],
};
const TEMPLATE: Exceptions = Object.fromEntries(
  Object.entries(LACKING).map(([limit, titles]) => [
    limit,
    titles.flatMap((title) => [`etc: ${title}`, `usr: ${title}`]),
  ]),
);

describe('an env by libfuse 2', () =>
  declareEnv(['--transport', 'fuse-native'], ({ mountpoint, fresh }) => {
    describe('fresh files', () => declareSuite('posix', fresh('home'), POSIX));
    describe('files of templates', () => declareSuite('template', mountpoint, TEMPLATE));
  }));

test('every exception is a documented limit', () => {
  const documented = LIMITS.map(({ name }) => name);
  for (const name of [...Object.keys(POSIX), ...Object.keys(TEMPLATE)]) {
    expect(documented).toContain(name);
  }
});
