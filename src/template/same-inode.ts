import type { InodeRecord } from '../codec/inode-record.ts';

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
 * True if two records are of the same file as far as a template is concerned. Not atime and ctime, which
 * say when it was read and unpacked, and not blocks, which the file system below decides.
 */
export function sameInode(a: InodeRecord, b: InodeRecord): boolean {
  return COMPARED.every((field) => a[field] === b[field]) && sameXattrs(a.xattrs, b.xattrs);
}

function sameXattrs(a: InodeRecord['xattrs'], b: InodeRecord['xattrs']): boolean {
  if (a === null || b === null) return a === b;
  if (a.size !== b.size) return false;
  for (const [name, value] of a) {
    const other = b.get(name);
    if (other === undefined || !other.equals(value)) return false;
  }
  return true;
}
