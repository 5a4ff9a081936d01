import {
  constants,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { EOPNOTSUPP } from '../../../base/errno.ts';
import { type Check, check } from './check.ts';

/** Names for the magic numbers of statfs(2). */
const TYPES: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
  [0x6969, 'nfs'],
  [0x65735546, 'fuse'],
]);

const SPACE_LEAST = 1024 ** 3;
const INODES_LEAST = 100_000;
const FILES_LEAST = 4096;

/** Checks the file system that the root is on, or will be, with small files that are removed again. */
export async function fileSystemChecks(root: string): Promise<Check[]> {
  const at = nearestExisting(root);
  const { type, bsize, bavail, ffree } = statfsSync(at);
  const name = fileSystemName(type);
  const free = bsize * bavail;
  return [
    check('root.type', name !== 'nfs' && name !== 'fuse', `${name} (${at})`, REMOTE, 'reduced'),
    ...(await probes(at)),
    check(
      'root.space',
      free >= SPACE_LEAST,
      `${free} bytes free`,
      'below 1 GiB: templates may not fit',
      'reduced',
    ),
    // Some file systems (btrfs) have no fixed number of inodes, and report 0.
    check(
      'root.inodes',
      ffree === 0 || ffree >= INODES_LEAST,
      `${ffree} free`,
      'few files fit',
      'reduced',
    ),
    openFiles(),
  ];
}

const REMOTE = 'LMDB needs a local file system: put the root on one';

/** Returns the name of a file system's type; in hex if it is unknown. */
export const fileSystemName = (type: number): string =>
  TYPES.get(type >>> 0) ?? `0x${type.toString(16)}`;

async function probes(at: string): Promise<Check[]> {
  let directory: string;
  try {
    directory = mkdtempSync(path.join(at, '.byref-doctor-'));
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return [check('root.write', false, found, 'the root can not be written')];
  }
  try {
    return [reflink(directory), await xattrs(directory)];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function reflink(directory: string): Check {
  const source = path.join(directory, 'source');
  writeFileSync(source, 'reflink probe');
  let present = true;
  try {
    copyFileSync(source, path.join(directory, 'copy'), constants.COPYFILE_FICLONE_FORCE);
  } catch {
    present = false;
  }
  const cost =
    'the first write to a large template file copies it (XFS and Btrfs share its blocks)';
  return check('root.reflink', present, present ? 'yes' : 'no', cost, 'reduced');
}

async function xattrs(directory: string): Promise<Check> {
  const { native } = await import('../../../native/binding.ts');
  const result = native.getXattr(directory, 'user.byref');
  const present = typeof result !== 'number' || result !== -EOPNOTSUPP;
  // An env's extended attributes are records of its link table, so nothing is lost.
  return check(
    'root.xattr',
    present,
    present ? 'yes' : 'no',
    'backups of the root by tar may lack them',
    'reduced',
  );
}

function openFiles(): Check {
  const limit =
    /^Max open files\s+\d+\s+(\d+|unlimited)/m.exec(
      readFileSync('/proc/self/limits', 'utf8'),
    )?.[1] ?? '0';
  const enough = limit === 'unlimited' || Number(limit) >= FILES_LEAST;
  const cost = `below ${FILES_LEAST}: a driver keeps fewer files open; raise the hard limit`;
  return check('limit.files', enough, limit, cost, 'reduced');
}

/** Returns a path, or the nearest directory above that exists. */
export function nearestExisting(at: string): string {
  return existsSync(at) ? at : nearestExisting(path.dirname(at));
}
