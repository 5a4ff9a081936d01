import { START, START_MTIME_NS } from './tree.ts';

/** An inode of the reference. `mtimeNs` is null while only the clock knows it. */
export interface RefNode {
  readonly kind: 'directory' | 'file' | 'symlink';
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  mtimeNs: bigint | null;
  content: Buffer;
  readonly target: string;
  readonly xattrs: Map<string, string>;
  readonly entries: Map<string, RefNode>;
}

export class RefError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}
export const refuse = (code: string): never => {
  throw new RefError(code);
};

const SYMLINKS_MAX = 40;

const newNode = (kind: RefNode['kind'], mode: number, target = ''): RefNode => ({
  kind,
  mode,
  uid: 0,
  gid: 0,
  nlink: kind === 'directory' ? 2 : 1,
  mtimeNs: null,
  content: Buffer.alloc(0),
  target,
  xattrs: new Map(),
  entries: new Map(),
});

/** A name's place: its directory, and what is there (undefined: nothing). */
export interface Place {
  readonly parent: RefNode;
  readonly name: string;
  readonly node: RefNode | undefined;
}

/**
 * A file system in memory, as simple as can be: what the real one is compared with. Paths are relative
 * to the root, without "." and "..".
 */
export class Reference {
  readonly root: RefNode = newNode('directory', 0o755);

  constructor() {
    for (const entry of START) {
      const { parent, name } = this.place(entry.path);
      if (entry.kind === 'link') {
        this.attach(parent, name, this.follow(entry.of));
        this.follow(entry.of).nlink++;
        continue;
      }
      const mode = { directory: 0o755, file: 0o644, symlink: 0o777 }[entry.kind];
      const node = newNode(entry.kind, mode, entry.kind === 'symlink' ? entry.target : '');
      if (entry.kind === 'file') node.content = Buffer.from(entry.text);
      if (entry.kind === 'directory') parent.nlink++;
      this.attach(parent, name, node);
    }
    this.visit((node) => {
      node.mtimeNs = START_MTIME_NS;
    });
    this.root.mtimeNs = null;
  }

  /** Where a path's last component is; symbolic links before it are followed. */
  place(path: string, budget = { left: SYMLINKS_MAX }, start = this.root): Place {
    const parts = path.split('/');
    const name = parts.pop()!;
    let parent = start;
    for (const part of parts) parent = this.enter(parent, part, budget);
    if (parent.kind !== 'directory') refuse('ENOTDIR');
    return { parent, name, node: parent.entries.get(name) };
  }

  /** What a path means in the end, symbolic links followed; ENOENT if nothing. */
  follow(path: string, budget = { left: SYMLINKS_MAX }, start = this.root): RefNode {
    const { parent, node } = this.place(path, budget, start);
    if (!node) return refuse('ENOENT');
    if (node.kind !== 'symlink') return node;
    if (--budget.left < 0) refuse('ELOOP');
    return this.follow(node.target, budget, parent);
  }

  private enter(parent: RefNode, part: string, budget: { left: number }): RefNode {
    if (parent.kind !== 'directory') refuse('ENOTDIR');
    const node = parent.entries.get(part);
    if (!node) return refuse('ENOENT');
    if (node.kind !== 'symlink') return node;
    if (--budget.left < 0) refuse('ELOOP');
    return this.follow(node.target, budget, parent);
  }

  make(parent: RefNode, name: string, kind: RefNode['kind'], mode: number, target = ''): RefNode {
    const node = newNode(kind, mode, target);
    this.attach(parent, name, node);
    if (kind === 'directory') parent.nlink++;
    // A set-group-ID directory passes its group on, and to directories the bit as well.
    if (parent.mode & 0o2000) {
      node.gid = parent.gid;
      if (kind === 'directory') node.mode |= 0o2000;
    }
    return node;
  }

  attach(parent: RefNode, name: string, node: RefNode): void {
    parent.entries.set(name, node);
    parent.mtimeNs = null;
  }

  detach(parent: RefNode, name: string): void {
    parent.entries.delete(name);
    parent.mtimeNs = null;
  }

  /** True if `node` is `root` or anywhere below it. */
  contains(root: RefNode, node: RefNode): boolean {
    if (root === node) return true;
    return [...root.entries.values()].some((child) => this.contains(child, node));
  }

  /** Calls `action` for every name below the root, parents first, in order of paths. */
  visit(action: (node: RefNode, path: string) => void, from = this.root, prefix = ''): void {
    for (const name of [...from.entries.keys()].sort()) {
      const node = from.entries.get(name)!;
      action(node, prefix + name);
      if (node.kind === 'directory') this.visit(action, node, `${prefix}${name}/`);
    }
  }
}
