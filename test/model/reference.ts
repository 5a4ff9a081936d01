import { Following, isTouched, restore } from './follow.ts';
import { isDirectory, newNode, type RefNode } from './node.ts';
import { type Stack, split, Templates } from './templates.ts';

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
export const START: Stack = [1, 1];

/** A name's place: its directory, and what is there (undefined: nothing). */
export interface Place {
  readonly parent: RefNode;
  readonly name: string;
  readonly node: RefNode | undefined;
}

/** An open descriptor, as the agent has it. */
export interface RefSlot {
  readonly node: RefNode;
  readonly writable: boolean;
}

/**
 * A file system in memory, as simple as can be: what the real one is compared with. Paths are relative
 * to the root, without "." and "..".
 */
export class Reference {
  readonly root: RefNode = { ...newNode('directory', 0o755), origin: '' };
  readonly slots = new Map<number, RefSlot>();
  /** What patches set aside: as often as it had a name. */
  private saved: RefNode[] = [];
  /** What files that were set aside became. */
  private readonly replaced = new Map<RefNode, RefNode>();
  readonly templates = new Templates();
  stack = START;

  /** Copies with the bytes of the template's file follow, too: a patch command finds them, the driver alone does not. */
  readonly shares: boolean;

  constructor(shares = false) {
    this.shares = shares;
    for (const dir of this.templates.directories(START)) this.showEntries(dir);
    this.showEntries(this.root);
  }

  /** Where a path's last component is; symbolic links before it are followed. */
  place(path: string): Place {
    return this.placeFrom(this.root, path);
  }

  placeFrom(start: RefNode, path: string, budget = { left: SYMLINKS_MAX }): Place {
    const parts = path.split('/');
    const name = parts.pop()!;
    let parent = start;
    for (const part of parts) parent = this.enter(parent, part, budget);
    if (parent.kind !== 'directory') refuse('ENOTDIR');
    return { parent, name, node: parent.entries.get(name) };
  }

  /** What a path means in the end, symbolic links followed; ENOENT if nothing. */
  follow(path: string): RefNode {
    return this.followFrom(this.root, path);
  }

  followFrom(start: RefNode, path: string, budget = { left: SYMLINKS_MAX }): RefNode {
    const { parent, node } = this.placeFrom(start, path, budget);
    if (!node) return refuse('ENOENT');
    if (node.kind !== 'symlink') return node;
    if (--budget.left < 0) refuse('ELOOP');
    return this.followFrom(parent, node.target, budget);
  }

  private enter(parent: RefNode, part: string, budget: { left: number }): RefNode {
    if (parent.kind !== 'directory') refuse('ENOTDIR');
    const node = parent.entries.get(part);
    if (!node) return refuse('ENOENT');
    if (node.kind !== 'symlink') return node;
    if (--budget.left < 0) refuse('ELOOP');
    return this.followFrom(parent, node.target, budget);
  }

  make(parent: RefNode, name: string, kind: RefNode['kind'], mode: number, target = ''): RefNode {
    if (parent.gone) refuse('ESTALE');
    const node = { ...newNode(kind, mode, target), own: true };
    this.attach(parent, name, node);
    // A set-group-ID directory passes its group on, and to directories the bit as well.
    if (parent.mode & 0o2000) {
      node.gid = parent.gid;
      if (kind === 'directory') node.mode |= 0o2000;
    }
    return node;
  }

  attach(parent: RefNode, name: string, node: RefNode): void {
    parent.entries.set(name, node);
    parent.ownNames.add(name);
    parent.removedNames.delete(name);
    this.changeEntries(parent);
  }

  /** The name goes. Should a template have it, it stays removed, in this version and in others. */
  detach(parent: RefNode, name: string): void {
    if (this.isTaken(parent, name)) parent.removedNames.add(name);
    parent.entries.delete(name);
    parent.ownNames.delete(name);
    this.changeEntries(parent);
  }

  private changeEntries(parent: RefNode): void {
    this.change(parent);
    parent.mtimeNs = null;
  }

  /** False if it is the env's change of the very file that would show. */
  canSetAside(dir: string, name: string, to: Stack): boolean {
    const parent = this.templates.find(dir) ?? this.root;
    const there = this.templates.entries(to, dir).get(name);
    if (isTouched(parent.entries.get(name)!)) return false;
    return there === undefined || (there !== parent.entries.get(name) && !this.isElse(there));
  }

  /** The env's own file is out of the way: the templates' shows. */
  setAside(dir: string, name: string): RefNode {
    const parent = this.templates.find(dir) ?? this.root;
    const node = parent.entries.get(name)!;
    parent.ownNames.delete(name);
    parent.entries.delete(name);
    this.saved.push(node);
    return node;
  }

  /** What was set aside goes on as another file, as all that the env has of this one does. */
  replaceSaved(node: RefNode, by: RefNode): void {
    this.saved = this.saved.map((each) => (each === node ? by : each));
    this.replaced.set(node, by);
  }

  isSaved(node: RefNode): boolean {
    return this.saved.includes(node);
  }

  /** The file that was set aside, as which it goes on. */
  private savedAs(node: RefNode): RefNode {
    const by = this.saved.includes(node) ? undefined : this.replaced.get(node);
    return by === undefined ? node : this.savedAs(by);
  }

  /** In the version that comes, it is the template's very file that the env has changed: it is back, or stays where it is. */
  settle(dir: string, name: string, aside: RefNode, to: Stack): boolean {
    const node = this.savedAs(aside);
    const parent = this.templates.find(dir) ?? this.root;
    const there = this.templates.entries(to, dir).get(name);
    if (there === node) return this.putBack(dir, name, node);
    const free = !parent.ownNames.has(name) && !parent.removedNames.has(name);
    if (free && there !== undefined && this.isElse(there)) parent.removedNames.add(name);
    return false;
  }

  /** It is back, if the env has nothing there that is its own. */
  putBack(dir: string, name: string, aside: RefNode): boolean {
    const node = this.savedAs(aside);
    const parent = this.templates.find(dir) ?? this.root;
    const there = parent.ownNames.has(name) ? parent.entries.get(name)! : null;
    // Files of which it has set attributes only are in nobody's way.
    const isFree = there === null || (isTouched(there) && this.isHome(dir, name, there));
    if (!isFree || parent.removedNames.has(name)) return false;
    parent.ownNames.add(name);
    parent.entries.set(name, node);
    this.saved.splice(this.saved.indexOf(node), 1);
    return true;
  }

  isHome(dir: string, name: string, node: RefNode): boolean {
    return this.templates.everAt(dir, name).includes(node);
  }

  private isTaken(parent: RefNode, name: string): boolean {
    const { origin } = parent;
    if (origin === null) return false;
    if (this.shows(parent, name) !== undefined) return true;
    const node = parent.entries.get(name);
    return this.templates
      .everAt(origin, name)
      .some((ever) => ever === node || this.isElse(ever) || ever.ownNames.size > 0);
  }

  /** The env changed it and has it still, or had it and has it open: it can't be the template's again. */
  isElse(node: RefNode): boolean {
    const named = this.names().includes(node);
    const kept = named || (!node.gone && this.isOpen(node));
    return isDirectory(node) ? kept && !(named && this.isAtHome(node)) : kept && node.own;
  }

  /** True if a directory is where the templates have it. */
  private isAtHome(node: RefNode): boolean {
    const [above, name] = split(node.origin!);
    return (this.templates.find(above) ?? this.root).entries.get(name) === node;
  }

  isOpen(node: RefNode): boolean {
    return [...this.slots.values()].some((slot) => slot.node === node);
  }

  /** Something about it changes, so it is the env's own from now on: of a file, with all its names. */
  change(node: RefNode): void {
    if (node.gone) refuse('ESTALE');
    if (!node.own && !isDirectory(node)) {
      for (const dir of this.parents()) {
        for (const [name, there] of dir.entries) if (there === node) dir.ownNames.add(name);
      }
    }
    node.own = true;
  }

  /** All that can be reached by a path, the root first. */
  directories(): RefNode[] {
    const found: RefNode[] = [this.root];
    for (const dir of found) {
      for (const node of dir.entries.values()) if (isDirectory(node)) found.push(node);
    }
    return found;
  }

  /** And directories of the templates that the env has something else in the place of. */
  private parents(): Set<RefNode> {
    return new Set([...this.directories(), ...this.templates.directories(this.stack)]);
  }

  /** What has a name, as often as it has one; also the env's own where no version seen now leads. */
  names(): RefNode[] {
    const parents = this.parents();
    const all = new Set([...parents, ...this.templates.directories(null)]);
    const named = [...all].flatMap((dir) =>
      [...dir.entries].filter(([name]) => parents.has(dir) || dir.ownNames.has(name)),
    );
    return [...named.map(([, node]) => node), ...this.saved];
  }

  nlink(node: RefNode): number {
    if (node.gone) return 0;
    const names = this.names().filter((there) => there === node).length;
    if (!isDirectory(node)) return names;
    return !this.directories().includes(node)
      ? 0
      : 2 + [...node.entries.values()].filter(isDirectory).length;
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

  /**
   * The templates are at other versions now. What the env set stays, what it removed stays removed, all else is as the
   * templates have it. @param seen false if nobody had the env mounted meanwhile
   */
  flip(to: Stack, seen: boolean): void {
    const before = new Set(this.all());
    const from = this.stack;
    this.followTemplates(to);
    if (this.shares) this.dressDirs(from, to);
    this.stack = to;
    for (const dir of this.templates.directories(null)) {
      if (dir.ownNames.size > 0) this.keep(dir, from, seen);
    }
    for (const dir of this.templates.directories(to)) this.showEntries(dir);
    this.showEntries(this.root);
    const after = new Set(this.all());
    for (const node of after) {
      // What the env had done to it is gone with the file that it had removed.
      if (!before.has(node) && node.own && !isDirectory(node) && !this.isOwnName(node))
        node.own = false;
      // As the template has it: what the env had set on it went along to another version.
      if ((node.gone || !before.has(node)) && !node.own) restore(node);
      node.gone = false;
    }
    for (const node of before) if (!after.has(node)) node.gone = true;
  }

  private isOwnName(node: RefNode): boolean {
    return this.directories().some((dir) =>
      [...dir.ownNames].some((name) => dir.entries.get(name) === node),
    );
  }

  /** A directory in which the env changed something has the mode that a version brings, if the env has not set it. */
  private dressDirs(from: Stack, to: Stack): void {
    for (const dir of this.templates.directories(null)) {
      const [above, name] = split(dir.origin!);
      // Not where another template has something else.
      const isShown = (stack: Stack): boolean =>
        this.templates.entries(stack, above).get(name) === dir;
      const [was, is] = [from, to].map((stack) => this.templates.mode(stack, dir.origin!));
      if (dir.own && isShown(from) && isShown(to) && dir.mode === was) dir.mode = is!;
    }
  }

  /** Files of which the env has set attributes only are those of the other version. */
  followTemplates(to: Stack): void {
    new Following(this, to).follow();
  }

  private all(): RefNode[] {
    return this.directories().flatMap((dir) => [...dir.entries.values()]);
  }

  /** A directory in which the env has something is there: if the templates have it no more, as the env's own. */
  private keep(dir: RefNode, from: Stack, seen: boolean): void {
    const { origin } = dir;
    if (origin === null || origin === '') return;
    const [above, name] = split(origin);
    const parent = this.templates.find(above) ?? this.root;
    // The env moved or removed it, or has something else there.
    if (parent.ownNames.has(name) || parent.removedNames.has(name) || this.isElse(dir)) return;
    this.keep(parent, from, seen);
    if (this.shows(parent, name) === dir) return;
    parent.ownNames.add(name);
    parent.entries.set(name, dir);
    if (!dir.own) dir.mode = this.lastMode(origin, from, seen)!;
    dir.own = true;
  }

  /** What the templates have under the name. */
  private shows({ origin }: RefNode, name: string): RefNode | undefined {
    return origin === null ? undefined : this.templates.entries(this.stack, origin).get(name);
  }

  private lastMode(origin: string, from: Stack, seen: boolean): number | undefined {
    const { templates, stack } = this;
    const before = seen ? templates.mode(from, origin) : undefined;
    return before ?? templates.mode(stack, origin) ?? templates.lastMode(stack, origin);
  }

  /** The directory has what the env set, and of the templates' names those that it did not remove. */
  private showEntries(dir: RefNode): void {
    const entries = dir.origin === null ? [] : this.templates.entries(this.stack, dir.origin);
    for (const name of [...dir.entries.keys()])
      if (!dir.ownNames.has(name)) dir.entries.delete(name);
    for (const [name, node] of entries) {
      if (!dir.ownNames.has(name) && !dir.removedNames.has(name)) dir.entries.set(name, node);
    }
    for (const node of dir.entries.values()) {
      if (!isDirectory(node)) continue;
      if (!node.own) node.mode = this.templates.mode(this.stack, node.origin!)!;
      this.showEntries(node);
    }
  }
}
