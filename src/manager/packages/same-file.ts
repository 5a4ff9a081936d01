/** Tells whether an env's own file is just what its templates have, so that it can be a link to theirs again. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { isPrivateIno } from '../../base/ids.ts';
import { isDir, isLnk, isReg } from '../../base/mode.ts';
import { DATA_OBJECT, DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import type { SeenFile } from '../../codec/patch-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import { ctimeIsNewer } from '../../driver/core/blob-stat.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';

const stat = new Float64Array(STAT_SLOTS);

/** Returns size and times of a private file; null if it does not exist. */
export function seenFile(file: string): SeenFile | null {
  if (native.statAt(AT_FDCWD, file, stat, AT_SYMLINK_NOFOLLOW) < 0) return null;
  return {
    size: stat[STAT.size]!,
    mtime: stat[STAT.mtime]!,
    mtimeNs: stat[STAT.mtimeNs]!,
    ctime: stat[STAT.ctime]!,
    ctimeNs: stat[STAT.ctimeNs]!,
  };
}

/**
 * Returns the SHA-256 of a file in hex. Leaves its access time alone, because no program in the env has read it. Rejects if
 * the file can't be read.
 */
export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  // Node takes numbers as well, though its types do not say so.
  const flags = (constants.O_RDONLY | constants.O_NOATIME) as unknown as string;
  await pipeline(createReadStream(file, { flags }), hash);
  return hash.digest('hex');
}

/** An env's file that is compared with the templates'. */
export interface Compared {
  readonly own: InodeRecord;
  /** The path of its bytes, if it is a private file. */
  readonly file: string;
  /** True if its times say nothing, because its program writes it anew without changing it. */
  readonly anyTime: boolean;
}

/**
 * Returns the ctime that the env's file shows, if the file equals one of the templates'; else null. Hashes it only if all
 * else is equal.
 */
export async function sameAs(
  { own, file, anyTime }: Compared,
  templates: readonly InodeRecord[],
): Promise<{ ctime: number; ctimeNs: number } | null> {
  const isPrivate = own.data === DATA_PRIVATE && isReg(own.mode);
  const seen = isPrivate ? seenFile(file) : null;
  if (isPrivate && seen === null) return null;
  const { size, mtime, mtimeNs } = seen ?? own;
  const alike = templates.filter((is) => {
    const isInTime = anyTime || (mtime === is.mtime && mtimeNs === is.mtimeNs);
    return isInTime && sameAttributes(own, is) && (!isReg(own.mode) || size === is.size);
  });
  if (alike.length === 0) return null;
  if (isPrivate && size > 0) {
    const hash = await sha256(file);
    if (!alike.some(({ object }) => object === hash)) return null;
  } else if (!alike.some((is) => sameData(own, is, isPrivate))) return null;
  const { ctime, ctimeNs } = seen !== null && ctimeIsNewer(own, seen) ? seen : own;
  return { ctime, ctimeNs };
}

/** True for a copy without bytes of its own that byref made of a template's file. That file may have had further names. */
const isCopy = ({ data, ino, nlink }: InodeRecord): boolean =>
  data === DATA_OBJECT && isPrivateIno(ino) && nlink === 1;

function sameAttributes(own: InodeRecord, is: InodeRecord): boolean {
  const { mode, uid, gid, rdev, nlink, xattrs } = own;
  return (
    !isDir(mode) &&
    mode === is.mode &&
    uid === is.uid &&
    gid === is.gid &&
    rdev === is.rdev &&
    (nlink === is.nlink || isCopy(own)) &&
    sameXattrs(xattrs, is.xattrs)
  );
}

function sameData(own: InodeRecord, is: InodeRecord, isEmptyFile: boolean): boolean {
  if (isLnk(own.mode)) return own.target === is.target;
  return isEmptyFile || own.object === is.object;
}

/** True if a regular file of the env has the same bytes as a template's. @param file its path; null: it is empty */
export async function sameContent(
  own: InodeRecord,
  file: string | null,
  is: InodeRecord,
): Promise<boolean> {
  if (!isReg(own.mode) || !isReg(is.mode)) return false;
  if (own.data !== DATA_PRIVATE) return own.object === is.object;
  const size = file === null ? 0 : (seenFile(file)?.size ?? -1);
  return size === is.size && (size === 0 || (await sha256(file!)) === is.object);
}

/** Returns the ctime that the env's file shows, if its bytes or its target equal those of one of these; else null. */
export async function sameDataAs(
  own: InodeRecord,
  file: string | null,
  templates: readonly InodeRecord[],
): Promise<{ ctime: number; ctimeNs: number } | null> {
  const seen =
    own.data === DATA_PRIVATE && isReg(own.mode) && file !== null ? seenFile(file) : null;
  let isSame = false;
  for (const is of templates) {
    if (isLnk(own.mode)) isSame ||= isLnk(is.mode) && own.target === is.target;
    else isSame ||= await sameContent(own, file, is);
  }
  if (!isSame) return null;
  const { ctime, ctimeNs } = seen !== null && ctimeIsNewer(own, seen) ? seen : own;
  return { ctime, ctimeNs };
}
