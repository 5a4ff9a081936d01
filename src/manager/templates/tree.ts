/**
 * A root file system in memory, as an import sees it: attributes and object ids, no bytes. What hard
 * links share is one TreeNode under several names.
 */
import type { Name, ObjectId } from '../../base/ids.ts';
import { isDir, isLnk, isReg, S_IFDIR } from '../../base/mode.ts';

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
  /** Bytes of a regular file. */
  size: number;
  /** A regular file's content; '' for one of 0 bytes, and until it is hashed. */
  object: ObjectId | '';
  /** A symlink's target, as binary string. */
  target: string;
  xattrs: Map<string, Buffer> | null;
  /** A directory's entries, else null. */
  children: Map<Name, TreeNode> | null;
  /** A directory: its attributes count, also where a template below has it with others. */
  ownAttributes?: boolean;
}

/** What a long command reports while it runs. */
export interface Progress {
  readonly phase: Phase;
  readonly files: number;
  /** Bytes of file content. */
  readonly bytes: number;
  /** How much of the phase is done, 0 .. 1, where that is known. */
  readonly part?: number;
  /** What it is at: a package, a command. */
  readonly detail?: string;
}

/** In their order; which ones there are depends on what is done. */
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

export type OnProgress = (progress: Progress) => void;
export type OnWarning = (message: string) => void;

/** A directory that the source has members in, but says nothing about. */
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

/** As ext4 says for a small directory: the same for each source, so that the same tree compares equal. */
const DIRECTORY_SIZE = 4096;

export function sizeOf(node: TreeNode): number {
  if (isDir(node.mode)) return DIRECTORY_SIZE;
  if (isLnk(node.mode)) return node.target.length;
  return isReg(node.mode) ? node.size : 0;
}

/** The node at a path, which no symlink leads to; null if there is none. @param path a binary string */
export function nodeAt(tree: TreeNode, path: string): TreeNode | null {
  let node: TreeNode | undefined = tree;
  for (const name of path.split('/')) {
    if (name !== '') node = node?.children?.get(name as Name);
  }
  return node ?? null;
}
