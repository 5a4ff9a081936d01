/** What a template says of a file. */
export interface RefAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint | null;
  readonly xattrs: ReadonlyMap<string, string>;
  readonly content: Buffer;
}

/** An inode of the reference. */
export interface RefNode {
  readonly kind: 'directory' | 'file' | 'symlink';
  /** The path at which a template has it; null: the env made it. */
  readonly origin: string | null;
  /** The env changed it, or something in it: what it is stays so, whatever the templates say. */
  own: boolean;
  /** The env opened it for writing: its content is the env's. */
  written: boolean;
  /** What the template says of it; null: the env made it. */
  base: RefAttributes | null;
  /** Attributes of it that the env has set, on this file or one before it under its name. */
  readonly set: Set<keyof RefAttributes | 'set-IDs' | 'atime'>;
  /** Of an older version: what has it open goes on with it as it was, and nothing of it can be changed. */
  gone: boolean;
  mode: number;
  uid: number;
  gid: number;
  /** Null while only the clock knows it. */
  mtimeNs: bigint | null;
  content: Buffer;
  readonly target: string;
  xattrs: Map<string, string>;
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
  written: false,
  base: null,
  set: new Set(),
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
