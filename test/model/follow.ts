/** What becomes, at a flip of the reference, of files of which the env has set attributes only. */
import { isDeepStrictEqual } from 'node:util';
import { ACL_XATTR } from './acl.ts';
import { isDirectory, type RefAttributes, type RefNode } from './node.ts';
import type { Reference } from './reference.ts';
import { type Stack, split } from './templates.ts';

const SET_IDS = 0o6000;

/** True of a template's file that the env has changed, but for its content. */
export const isTouched = (node: RefNode): boolean =>
  node.own && !node.written && node.base !== null;

/** The file is as its template has it. */
export function restore(node: RefNode): void {
  if (node.base !== null)
    Object.assign(node, { ...node.base, xattrs: new Map(node.base.xattrs), written: false });
  node.set.clear();
}

export class Following {
  private readonly ref: Reference;
  private readonly to: Stack;
  private readonly coming = new Set<RefNode>();
  /** Files that came to a name: of several names of one file, the first to come says what the env has set of it. */
  private readonly settled = new Set<RefNode>();
  /** Those of them that came to names at which the env had set attributes only. */
  private readonly followed = new Set<RefNode>();
  /** Files that names were taken from: what is left of them is no file of the templates any more. */
  private readonly left = new Set<RefNode>();

  constructor(ref: Reference, to: Stack) {
    this.ref = ref;
    this.to = to;
  }

  follow(): void {
    const { ref } = this;
    const { left } = this;
    const came: { dir: RefNode; name: string; node: RefNode }[] = [];
    // Names that have the templates' file, or a copy in its place, come before those that have files of their own.
    for (const wantsHome of [true, false]) {
      for (const { dir, name, node } of this.ownNames()) {
        const next = this.nextAt(dir, name);
        const isHome = ref.isHome(dir.origin!, name, node);
        if (isHome !== wantsHome) continue;
        if (next === node) {
          if (this.isCopyAtHome(dir, name, node)) node.written = false;
          continue;
        }
        if (next !== undefined && !this.coming.has(next) && ref.isElse(next)) continue;
        const isAttributes = isHome && isTouched(node);
        const base = isAttributes ? node.base : this.copied(dir, name, node, next);
        if (base === null) continue;
        left.add(node);
        const isPlain = next === undefined || !this.isDressed(node, base, next);
        if (!isAttributes && isPlain)
          for (const other of this.othersElsewhere(dir, name, node)) left.add(other);
        dir.ownNames.delete(name);
        // What has a directory open that is gone finds there what it had.
        if (!this.isHidden(dir)) dir.entries.delete(name);
        const old = { ...node, base };
        if (next === undefined) continue;
        if (!this.settled.has(next) && takeOver(old, next)) this.coming.add(next);
        this.settled.add(next);
        if (isAttributes) this.followed.add(next);
        came.push({ dir, name, node: next });
      }
    }
    for (const node of left) this.leave(node);
    for (const { dir, name, node } of came) {
      if (!this.coming.has(node)) continue;
      dir.ownNames.add(name);
      dir.entries.set(name, node);
    }
    for (const node of this.coming) this.pin(node);
  }

  private ownNames(): { dir: RefNode; name: string; node: RefNode }[] {
    const { ref } = this;
    return [ref.root, ...ref.templates.directories(null)].flatMap((dir) =>
      [...dir.ownNames].map((name) => ({ dir, name, node: dir.entries.get(name)! })),
    );
  }

  /** True for a copy of the very file that the templates have there again, with its bytes. */
  private isCopyAtHome(dir: RefNode, name: string, node: RefNode): boolean {
    const { ref } = this;
    const was = ref.templates.entries(ref.stack, dir.origin!).get(name);
    if (!ref.shares || node.kind !== 'file' || was === node || this.isWrittenTo(node)) return false;
    return node.base?.content.equals(node.content) === true;
  }

  private isWrittenTo(node: RefNode): boolean {
    return [...this.ref.slots.values()].some((slot) => slot.node === node && slot.writable);
  }

  /** What the template says of a file that the env has a copy of, with the very same bytes; null: it has none. */
  private copied(
    dir: RefNode,
    name: string,
    node: RefNode,
    next: RefNode | undefined,
  ): RefAttributes | null {
    const { ref, to } = this;
    const was = ref.templates.entries(ref.stack, dir.origin!).get(name);
    // A file that was only moved, or linked, has the template's bytes, and is no copy of them.
    if (!ref.shares || node.kind !== 'file' || !node.written) return null;
    const hides = this.isHiddenIn(ref.stack, dir) !== this.isHiddenIn(to, dir);
    if (was === next && (was === undefined || !hides)) return null;
    // Of what is there now, or of what was there when it was copied.
    const origin = ref.isHome(dir.origin!, name, node) ? node.base : null;
    // One of several names is only told by the file itself.
    const there = was?.kind === 'file' && ref.nlink(node) === 1 ? was.base : null;
    const base = [there, origin].find((each) => each?.content.equals(node.content) === true);
    if (base === null || base === undefined) return null;
    if (this.isWrittenTo(node)) return null;
    if (next !== undefined && isDirectory(next)) return null;
    // With attributes that the env has set, the name stays the env's: what it has elsewhere is in no way.
    const isDressed = next !== undefined && this.isDressed(node, base, next);
    if (!isDressed && this.isWrittenElsewhere(dir, name, node)) return null;
    if (base === origin) return base;
    // What the env had unlinked is linked again: it has the times of the others.
    if (next !== undefined && this.linksOf(next, to) !== 1) {
      node.mtimeNs = base.mtimeNs;
      node.set.delete('atime');
    }
    return base;
  }

  /** True if the env has a template's file of that name under another one, written or open: as one file, it would show in both places. */
  private isWrittenElsewhere(dir: RefNode, name: string, node: RefNode): boolean {
    const others = this.othersElsewhere(dir, name, node);
    return others.some((each) => each.written || this.ref.isOpen(each));
  }

  /** Files that the templates ever have under that name, and that the env has under others. */
  private othersElsewhere(dir: RefNode, name: string, node: RefNode): RefNode[] {
    const { ref, left } = this;
    const named = ref.names();
    const isElsewhere = (each: RefNode): boolean =>
      each !== node && !isDirectory(each) && each.own && !left.has(each) && named.includes(each);
    return ref.templates.everAt(dir.origin!, name).filter(isElsewhere);
  }

  /** True if a file of several names gets attributes of the env with this copy, or has them from another one. */
  private isDressed(node: RefNode, base: RefAttributes, next: RefNode): boolean {
    if (this.linksOf(next, this.to) === 1) return false;
    if (this.settled.has(next) && !this.followed.has(next)) return this.coming.has(next);
    const like = { ...next, xattrs: new Map(next.xattrs), set: new Set(next.set) };
    // It is linked again: it has the times of the others.
    const set = new Set([...node.set].filter((what) => what !== 'atime'));
    if (!takeOver({ ...node, base, set, mtimeNs: base.mtimeNs }, like)) return false;
    const attributes = ({ mode, uid, gid, mtimeNs, xattrs }: RefNode): unknown[] => [
      mode,
      uid,
      gid,
      mtimeNs,
      [...xattrs],
    ];
    return !this.followed.has(next) || isDeepStrictEqual(attributes(like), attributes(next));
  }

  private linksOf(node: RefNode, stack: Stack): number {
    if (isDirectory(node)) return 0;
    const { ref } = this;
    return [ref.root, ...ref.templates.directories(stack)].flatMap((dir) =>
      [...ref.templates.entries(stack, dir.origin!).values()].filter((each) => each === node),
    ).length;
  }

  private nextAt(dir: RefNode, name: string): RefNode | undefined {
    if (this.isHidden(dir)) return undefined;
    return this.ref.templates.entries(this.to, dir.origin!).get(name);
  }

  /** True if the templates lack a directory in the version that comes, or hide it, and the env did nothing to it. */
  private isHidden(dir: RefNode): boolean {
    const { ref, to } = this;
    if (dir === ref.root) return false;
    const own = [ref.root, ...ref.directories(), ...ref.templates.directories(null)].find((above) =>
      [...above.ownNames].some((name) => above.entries.get(name) === dir),
    );
    // What it is in stays, since the env has something in it.
    if (own !== undefined) return false;
    const [above, name] = split(dir.origin!);
    const parent = ref.templates.find(above) ?? ref.root;
    if (parent.ownNames.has(name) || parent.removedNames.has(name)) return false;
    return ref.templates.entries(to, above).get(name) !== dir || this.isHidden(parent);
  }

  /** True if the templates lack a directory, or hide it, whatever the env has there. */
  private isHiddenIn(stack: Stack, dir: RefNode): boolean {
    const { templates } = this.ref;
    for (let path = dir.origin!; path !== ''; [path] = split(path)) {
      const [above, name] = split(path);
      if (templates.entries(stack, above).get(name) !== templates.find(path)) return true;
    }
    return false;
  }

  /** Further names that the env gave it go on with it as it was. */
  private leave(node: RefNode): void {
    const { ref, to } = this;
    const dirs = new Set([ref.root, ...ref.directories(), ...ref.templates.directories(null)]);
    const places = [...dirs].flatMap((dir) =>
      [...dir.ownNames]
        .filter((name) => dir.entries.get(name) === node)
        .map((name) => ({ dir, name })),
    );
    const stays = places.some(
      ({ dir, name }) =>
        dir.origin !== null && ref.templates.entries(to, dir.origin).get(name) === node,
    );
    if (stays) return;
    node.own = false;
    node.gone = true;
    if (places.length === 0 && !ref.isSaved(node)) return;
    const copy: RefNode = {
      ...node,
      origin: null,
      base: null,
      own: true,
      xattrs: new Map(node.xattrs),
      set: new Set(),
    };
    for (const { dir, name } of places) dir.entries.set(name, copy);
    ref.replaceSaved(node, copy);
  }

  /** All names of a file are the env's, if one is. */
  private pin(node: RefNode): void {
    const { ref, to } = this;
    node.own = true;
    for (const dir of [ref.root, ...ref.templates.directories(to)]) {
      for (const [name, there] of ref.templates.entries(to, dir.origin!)) {
        if (there !== node || dir.ownNames.has(name) || dir.removedNames.has(name)) continue;
        dir.ownNames.add(name);
        dir.entries.set(name, node);
      }
    }
  }
}

/** The next file gets what the env had set on the one before it, and else what its template says. False if that is nothing. */
function takeOver(node: RefNode, next: RefNode): boolean {
  restore(next);
  const { base, set } = node;
  if (base === null || next.base === null || node.kind !== next.kind || isDirectory(next))
    return false;
  const isSet = (what: keyof RefAttributes): boolean => set.has(what) || node[what] !== base[what];
  if (isSet('uid')) next.uid = node.uid;
  if (isSet('gid')) next.gid = node.gid;
  const lost = base.mode & ~node.mode & SET_IDS;
  const noIds = lost !== 0 || set.has('set-IDs');
  const isModeSet = set.has('mode') || (base.mode ^ node.mode ^ lost) !== 0;
  if (isModeSet) next.mode = node.mode;
  else if (noIds || isSet('uid') || isSet('gid')) next.mode &= ~SET_IDS | node.mode;
  for (const what of ['uid', 'gid'] as const) if (isSet(what)) next.set.add(what);
  if (isModeSet) next.set.add('mode');
  if (noIds) next.set.add('set-IDs');
  if (set.has('atime')) next.set.add('atime');
  // An ACL and the permission bits say the same thing.
  if (node.xattrs.has(ACL_XATTR)) next.mode = (next.mode & ~0o777) | (node.mode & 0o777);
  let changed = next.set.size > 0;
  const sameContent = node.content.equals(next.content) && node.target === next.target;
  if (sameContent && node.mtimeNs !== base.mtimeNs) {
    next.mtimeNs = node.mtimeNs;
    changed = true;
  }
  for (const name of new Set([...base.xattrs.keys(), ...node.xattrs.keys()])) {
    const value = node.xattrs.get(name);
    if (value === base.xattrs.get(name)) continue;
    const before = next.xattrs.get(name);
    if (value === undefined) next.xattrs.delete(name);
    else next.xattrs.set(name, value);
    if (before !== value) changed = true;
  }
  return changed;
}
