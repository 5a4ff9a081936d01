/**
 * Builds a tree from the members of archives. A member is only ever a name in this tree, so that nothing of the
 * host can be read or written through it, whatever an archive says.
 */
import { NAME_MAX, type Name, pathToText } from '../../base/ids.ts';
import { isDir, isLnk } from '../../base/mode.ts';
import { rootOf, walkPath } from '../../base/path-walk.ts';
import { badArchive } from './tar/header.ts';
import { implicitDirectory, type TreeNode } from './tree.ts';

/**
 * The treatment of a path that leaves the tree through a symlink. `refuse`: a member, or a link's target, with
 * such a path is an error, since an archive of a whole tree never has one. `confine`: the path stays inside the
 * tree, as under chroot; this is how layers of an image are applied to each other.
 */
export type SymlinkRule = 'refuse' | 'confine';

/** A tree that members are put into. */
export class TreeBuilder {
  readonly root: TreeNode = implicitDirectory();
  private readonly rule: SymlinkRule;
  /** The nodes that the current layer placed: whiteouts remove only what is from layers below. */
  private fresh = new Set<TreeNode>();

  constructor(rule: SymlinkRule) {
    this.rule = rule;
  }

  beginLayer(): void {
    this.fresh = new Set();
  }

  /**
   * Puts a node at the path, and returns the node that is there then. A directory put onto a directory gives it
   * the new attributes; anything else replaces what was there.
   */
  place(path: string, node: TreeNode): TreeNode {
    const parts = partsOf(path, this.rule);
    const name = parts.pop();
    if (name === undefined) {
      if (!isDir(node.mode)) throw badArchive('the archive has a file in place of its root');
      setAttributes(this.root, node);
      return this.root;
    }
    const siblings = this.entriesOf(parts, path);
    const before = siblings.get(name);
    if (before?.children && node.children) {
      setAttributes(before, node);
      this.fresh.add(before);
      return before;
    }
    siblings.set(name, node);
    this.fresh.add(node);
    return node;
  }

  /** Adds a hard link: one more name for the file at `target`. */
  link(path: string, target: string): void {
    const file = this.find(target, path);
    if (file === undefined || isDir(file.mode)) {
      const what = file === undefined ? 'which it does not have' : 'which is a directory';
      throw badArchive(`the archive has a hard link ${shown(path)} to ${shown(target)}, ${what}`);
    }
    this.place(path, file);
  }

  /** Applies the whiteout of one name. */
  remove(path: string): void {
    const parts = partsOf(path, this.rule);
    const name = parts.pop();
    if (name === undefined) return;
    const siblings = this.entriesOf(parts, path);
    const node = siblings.get(name);
    if (node !== undefined && !this.fresh.has(node)) siblings.delete(name);
  }

  /** Applies an opaque whiteout: the directory shows nothing from the layers below. */
  clear(path: string): void {
    const entries = this.entriesOf(partsOf(path, this.rule), path);
    for (const [name, node] of entries) if (!this.fresh.has(node)) entries.delete(name);
  }

  private find(target: string, member: string): TreeNode | undefined {
    const parts = partsOf(target, this.rule);
    const name = parts.pop();
    return name === undefined ? this.root : this.entriesOf(parts, member).get(name);
  }

  /** Returns the entries of the directory at `parts`, which is created if it is missing. */
  private entriesOf(parts: readonly Name[], member: string): Map<Name, TreeNode> {
    const { at, isLoop } = walkPath(rootOf(this.root), parts.join('/'), {
      step(dir, name) {
        const node = entryOf(dir, name as Name, member);
        return isLnk(node.mode) ? { target: node.target } : { dir: node };
      },
      leaves: () => {
        if (this.rule === 'refuse') throw leaves(member);
      },
    });
    if (isLoop) throw badArchive(`the archive has ${shown(member)} below a loop of symlinks`);
    return at.dir.children ?? noDirectory(member);
  }
}

/** Returns what a directory has under a name; makes a directory there if it has nothing. */
function entryOf(dir: TreeNode, name: Name, member: string): TreeNode {
  const entries = dir.children ?? noDirectory(member);
  const known = entries.get(name);
  if (known !== undefined) return known;
  const node = implicitDirectory();
  entries.set(name, node);
  return node;
}

function noDirectory(member: string): never {
  throw badArchive(`the archive has ${shown(member)} below something that is not a directory`);
}

/**
 * Splits a path. In a layer, "/" is the image's root; umoci writes paths like that.
 * @throws ByrefError 'badInput' for a path that is absolute, has "..", or a name that is too long
 */
function partsOf(path: string, rule: SymlinkRule): Name[] {
  if (path.startsWith('/') && rule === 'refuse')
    throw badArchive(`the archive has an absolute path: ${shown(path)}`);
  const parts = path.split('/').filter((part) => part !== '' && part !== '.') as Name[];
  for (const part of parts) {
    if ((part as string) === '..')
      throw badArchive(`the archive has ".." in a path: ${shown(path)}`);
    if (part.length > NAME_MAX)
      throw badArchive(`the archive has a name of over ${NAME_MAX} bytes`);
  }
  return parts;
}

function leaves(member: string): Error {
  return badArchive(`the archive has ${shown(member)} below a symlink that leaves the tree`);
}

const shown = (path: string): string => pathToText(path);

function setAttributes(dir: TreeNode, from: TreeNode): void {
  const { children } = dir;
  Object.assign(dir, from, { children });
}
