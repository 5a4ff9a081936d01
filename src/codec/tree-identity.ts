/**
 * Computes the identity of a tree: a SHA-256 that is equal wherever the tree is, of any number that a store gives it. It is made
 * of one for each directory, so that two trees are compared from the top, and only where they differ
 * (docs/internals/FORMAT.md, "Identity of a version").
 */
import { createHash } from 'node:crypto';
import type { Name } from '../base/ids.ts';
import { isDir, isReg } from '../base/mode.ts';
import { ByteWriter } from './byte-writer.ts';
import { FLAG_OWN_ATTRS, type InodeRecord } from './inode-record.ts';

const VERSION_MARK = Buffer.from('byref version 1\n');
const DIRECTORY_MARK = Buffer.from('byref directory 1\n');

/** One name of a directory. */
export interface TreeEntry {
  readonly name: Name;
  readonly record: InodeRecord;
  /** Of a directory: its own hash, from directoryHash(). */
  readonly below: Buffer | null;
  /** Of a file with several names: the first of its paths, by bytes, as a binary string; else ''. */
  readonly firstPath: string;
}

/** Returns the hash of what is in a directory. @param entries in any order */
export function directoryHash(entries: readonly TreeEntry[]): Buffer {
  const hash = createHash('sha256').update(DIRECTORY_MARK);
  for (const entry of [...entries].sort(byName)) {
    const to = new ByteWriter().latin1(entry.name);
    writeAttributes(to, entry.record);
    to.latin1(entry.firstPath);
    if (entry.below !== null) to.bytes(entry.below);
    hash.update(to.take());
  }
  return hash.digest();
}

/** Returns the identity of a tree, in hex. @param below the hash of what is in its root */
export function treeIdentity(root: InodeRecord, below: Buffer): string {
  const to = new ByteWriter();
  writeAttributes(to, root);
  return createHash('sha256').update(VERSION_MARK).update(to.take()).update(below).digest('hex');
}

// Names are binary strings: each unit is a byte.
const byName = (a: TreeEntry, b: TreeEntry): number => (a.name < b.name ? -1 : 1);

/** Writes all that an env shows of a file and that does not follow from where and when it was stored. */
function writeAttributes(to: ByteWriter, record: InodeRecord): void {
  const { mode, uid, gid, mtime, mtimeNs, object, target, flags } = record;
  to.varint(mode).varint(uid).varint(gid).signed(mtime).varint(mtimeNs);
  to.varint(record.rdev);
  to.varint(isReg(mode) ? record.size : 0);
  to.u8(object === '' ? 0 : 1).bytes(Buffer.from(object, 'hex'));
  to.latin1(target);
  to.u8(isDir(mode) && (flags & FLAG_OWN_ATTRS) !== 0 ? 1 : 0);
  const xattrs = [...(record.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  to.varint(xattrs.length);
  for (const [name, value] of xattrs) to.text(name).varint(value.length).bytes(value);
}
