import { isDir } from '../base/mode.ts';
import type { InodeRecord } from './inode-record.ts';

const COMPARED = [
  'mode',
  'uid',
  'gid',
  'rdev',
  'nlink',
  'size',
  'mtime',
  'mtimeNs',
  'data',
  'object',
  'target',
  'flags',
] as const satisfies readonly (keyof InodeRecord)[];

/**
 * Returns true if two records describe the same file as far as a template is concerned. atime and ctime are not
 * compared, since they say when it was read and unpacked, nor are blocks, which the file system below decides.
 */
export function sameInode(a: InodeRecord, b: InodeRecord): boolean {
  return COMPARED.every((field) => a[field] === b[field]) && sameXattrs(a.xattrs, b.xattrs);
}

/**
 * Returns true if a list of differences can leave out this pair. A directory's times and link count are
 * ignored, because they follow from entries that are listed by themselves.
 */
export function sameForDiff(was: InodeRecord, is: InodeRecord): boolean {
  if (!isDir(was.mode) || !isDir(is.mode)) return was.ino === is.ino || sameInode(was, is);
  const { mtime, mtimeNs, nlink } = is;
  return sameInode({ ...was, mtime, mtimeNs, nlink }, is);
}

/** Returns true if both have the same extended attributes, in any order; null is as good as an empty map. */
export function sameXattrs(a: InodeRecord['xattrs'], b: InodeRecord['xattrs']): boolean {
  if ((a?.size ?? 0) !== (b?.size ?? 0)) return false;
  for (const [name, value] of a ?? []) {
    const other = b?.get(name);
    if (other === undefined || !other.equals(value)) return false;
  }
  return true;
}
