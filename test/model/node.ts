/** An inode of the reference. */
export interface RefNode {
  readonly kind: 'directory' | 'file' | 'symlink';
  /** The path at which a template has it; null: the env made it. */
  readonly origin: string | null;
  /** The env changed it, or something in it: what it is stays so, whatever the templates say. */
  own: boolean;
  /** Of an older version: what has it open goes on with it as it was, and nothing of it can be changed. */
  gone: boolean;
  mode: number;
  uid: number;
  gid: number;
  /** Null while only the clock knows it. */
  mtimeNs: bigint | null;
  content: Buffer;
  readonly target: string;
  readonly xattrs: Map<string, string>;
  readonly entries: Map<string, RefNode>;
  /** Of `entries`, those that the env set. */
  readonly ownNames: Set<string>;
  /** Names that the env removed, and that stay removed. */
  readonly removedNames: Set<string>;
}

export const newNode = (kind: RefNode['kind'], mode: number, target = ''): RefNode => ({
  kind,
  origin: null,
  own: false,
  gone: false,
  mode,
  uid: 0,
  gid: 0,
  mtimeNs: null,
  content: Buffer.alloc(0),
  target,
  xattrs: new Map(),
  entries: new Map(),
  ownNames: new Set(),
  removedNames: new Set(),
});

export const isDirectory = (node: RefNode | undefined): boolean => node?.kind === 'directory';
