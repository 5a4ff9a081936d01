/**
 * A root file system in memory, as an import sees it: attributes and ids of objects, but no bytes. Hard links
 * share one TreeNode under several names.
 */
import type { Name, ObjectId } from '../../base/ids.ts';
import { isDir, isLnk, isReg, S_IFDIR } from '../../base/mode.ts';
import { DIRECTORY_SIZE } from '../../codec/inode-record.ts';

/** One file, directory, symlink or other inode of the tree. */
export interface TreeNode {
  mode: number;
  uid: number;
  gid: number;
  rdev: number;
  atime: number;
  atimeNs: number;
  mtime: number;
  mtimeNs: number;
  ctime: number;
  ctimeNs: number;
  /** Size of a regular file, in bytes. */
  size: number;
  /** A regular file's object; '' for a file of 0 bytes, and until it is hashed. */
  object: ObjectId | '';
  /** A symlink's target, as a binary string. */
  target: string;
  xattrs: Map<string, Buffer> | null;
  /** A directory's entries, else null. */
  children: Map<Name, TreeNode> | null;
  /** For a directory: its attributes take precedence over those of templates below. */
  ownAttributes?: boolean;
}

/** A report of a long command while it runs. */
export interface Progress {
  readonly phase: Phase;
  readonly files: number;
  /** Bytes of file content. */
  readonly bytes: number;
  /** How much of the phase is done, 0 .. 1, where that is known. */
  readonly part?: number;
  /** What it is working on: a package, a command. */
  readonly detail?: string;
}

/** Phases of long commands, in their order; a command goes through only some of them. */
export type Phase =
  | 'indices'
  | 'plan'
  | 'download'
  | 'unpack'
  | 'install essential'
  | 'install'
  | 'hooks'
  | 'pack'
  | 'compose'
  | 'read'
  | 'store'
  | 'commit';

/** Progress is reported once for this many files. */
export const REPORT_EVERY = 500;

/** Is called with reports of progress. */
export type OnProgress = (progress: Progress) => void;
/** Is called with what a user should know, in a sentence. */
export type OnWarning = (message: string) => void;

/** Returns a directory for a path that the source has members below, but does not describe. */
export function implicitDirectory(): TreeNode {
  return {
    mode: S_IFDIR | 0o755,
    uid: 0,
    gid: 0,
    rdev: 0,
    atime: 0,
    atimeNs: 0,
    mtime: 0,
    mtimeNs: 0,
    ctime: 0,
    ctimeNs: 0,
    size: 0,
    object: '',
    target: '',
    xattrs: null,
    children: new Map(),
  };
}

/** Returns the size that a node shows, in bytes. */
export function sizeOf(node: TreeNode): number {
  if (isDir(node.mode)) return DIRECTORY_SIZE;
  if (isLnk(node.mode)) return node.target.length;
  return isReg(node.mode) ? node.size : 0;
}

/** Returns the node at a path, without following symlinks; null if there is none. @param path a binary string */
export function nodeAt(tree: TreeNode, path: string): TreeNode | null {
  let node: TreeNode | undefined = tree;
  for (const name of path.split('/')) {
    if (name !== '') node = node?.children?.get(name as Name);
  }
  return node ?? null;
}
