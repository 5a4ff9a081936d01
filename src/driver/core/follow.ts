/**
 * Takes files of which an env has set only attributes from version to version. The name gets the file that the
 * templates have there now, with the attributes that the env has set (own-attributes.ts); if none are left, the
 * name is the templates' again. Another name that the env gave the old file keeps the old file, as after dpkg's
 * rename over the name.
 *
 * Each file is taken along within one change of the journal; one change holds some hundreds of names. Files that
 * were not taken along, because a process died or the env was not mounted, are found at the next mount
 * (followAll).
 */
import { type Ino, isPrivateIno, type Name } from '../../base/ids.ts';
import { isDir, S_IFMT } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { type Core, stamp } from './core.ts';
import type { Inode } from './inode.ts';
import { countAgain, isOwnElsewhere } from './names.ts';
import { hasTemplateData, withOwnAttributes } from './own-attributes.ts';
import { namesIn } from './own-names.ts';
import type { Delta, DirEntryRef, LowerTree } from './ports.ts';
import { renumber } from './renumber.ts';
import type { DiffEntry } from './tree-diff.ts';

/** Names per change of the journal. */
const AT_ONCE = 256;

/** More of them wait for the next mount, which finds all. */
const STRAYS_MAX = 1024;

/** A name that follows, with the template's file there before and now. */
export interface FollowedName extends DirEntryRef {
  /** The template's file whose attributes the env has set. */
  readonly was: InodeRecord;
  /** The template's file there now; null if there is none. */
  readonly is: InodeRecord | null;
}

/** A name that leads elsewhere now. */
export interface ChangedName extends DirEntryRef {
  /** True if the kernel may have what was there. */
  readonly isKnown: boolean;
  /** True if the old file stays there, under a number of its own: the name did not follow. */
  readonly isLeft: boolean;
}

/** The effect of following, for the kernel to be told. */
export interface Followed {
  /** Names that lead elsewhere now, including other hard links of the files. */
  readonly names: readonly ChangedName[];
  /** Inodes whose attributes changed, or that are in memory and have a record of the env's now. */
  readonly inodes: readonly Ino[];
  /** Inodes in memory of which the env has no record of its own any longer. */
  readonly left: readonly Inode[];
}

/** The parts of an env that tell whether it has set only attributes of a file. */
export interface OwnRecords {
  readonly delta: Pick<Delta, 'name' | 'inode'>;
  readonly lower: Pick<LowerTree, 'everFile'>;
}

/** Returns the template's file under a name if the env has set only attributes of it; else null. */
export function touchedOnly({ delta, lower }: OwnRecords, change: DiffEntry): InodeRecord | null {
  const { dir, name } = change;
  const own = delta.name(dir, name);
  if (own === null || own.ino === 0 || isPrivateIno(own.ino) || isDir(own.type)) return null;
  // A file of another version, if it was left behind there.
  const was = own.ino === change.was?.ino ? change.was : lower.everFile(dir, name, own.ino);
  const record = was === null ? null : delta.inode(own.ino);
  return record !== null && hasTemplateData(record, was!) ? was : null;
}

/**
 * Takes the names along at which the env has set only attributes; skips the others.
 * @param to the lower tree that the env sees afterwards
 */
export function follow(core: Core, to: LowerTree, names: Iterable<FollowedName>): Followed {
  const following = new Following(core, to);
  for (const each of names) if (!following.add(each)) break;
  following.commit();
  return following;
}

/** Takes along all files that belong to other versions than the env sees; run before an env is served. */
export function followAll(core: Core): Followed {
  return follow(core, core.lower, leftBehind(core));
}

/**
 * Notes a name that the env has given a file, if the file had this name in another version than the env sees: as when it moves a
 * file away, is patched, and moves it back. It follows with the next flip.
 */
export function noteStray({ lower, strays }: Core, dir: Ino, name: Name, ino: Ino): void {
  if (isPrivateIno(ino) || isPrivateIno(dir) || strays.size >= STRAYS_MAX) return;
  if (lower.lookup(dir, name)?.ino === ino || lower.everFile(dir, name, ino) === null) return;
  strays.set(keyOf({ dir, name }), { dir, name });
}

function* leftBehind(core: Core): Generator<FollowedName> {
  const { delta } = core;
  for (const dir of [...delta.templateDirs()]) {
    const own = [...namesIn(delta, dir)].filter(({ ino, type }) => ino !== 0 && !isDir(type));
    yield* leftAt(
      core,
      own.map(({ name }) => ({ dir, name })),
    );
  }
}

/** Yields those of the env's names that belong to another version than it sees, and that may follow. */
export function* leftAt(
  { delta, lower, inodes }: Core,
  places: Iterable<DirEntryRef>,
): Generator<FollowedName> {
  const hidden = new Map<Ino, boolean>();
  for (const { dir, name } of places) {
    const ino = delta.name(dir, name)?.ino ?? 0;
    if (ino === 0 || isPrivateIno(ino) || isPrivateIno(dir)) continue;
    const isHidden = hidden.get(dir) ?? inodes.isHidden(dir, lower);
    hidden.set(dir, isHidden);
    const is = isHidden ? null : lower.lookup(dir, name);
    if (is?.ino === ino) continue;
    // Null means that the env moved the file here from somewhere else.
    const was = lower.everFile(dir, name, ino);
    if (was !== null) yield { dir, name, was, is };
  }
}

class Following implements Followed {
  readonly names: ChangedName[] = [];
  readonly inodes: Ino[] = [];
  readonly left: Inode[] = [];
  private readonly core: Core;
  private readonly to: LowerTree;
  private size = 0;
  /** Files that names get in this change. */
  private readonly coming = new Set<Ino>();
  /** Files that get another name in this change. */
  private readonly joined = new Map<Ino, InodeRecord>();
  /** Files that lose names in this change, with these names. */
  private readonly leaving = new Map<Ino, { own: InodeRecord; places: DirEntryRef[] }>();
  private readonly taken = new Set<string>();
  private readonly counted = new Set<Ino>();

  constructor(core: Core, to: LowerTree) {
    this.core = core;
    this.to = to;
    stamp(core);
  }

  /** Adds one name. Returns false if the disk is full, so that nothing more can be done now. */
  add(name: FollowedName): boolean {
    this.take(name);
    return this.size < AT_ONCE || this.commit();
  }

  /** Commits the open change. Returns false if nothing of it was made. */
  commit(): boolean {
    if (this.size === 0) return true;
    const { core } = this;
    const left = [...this.leaving].map(([ino, each]) => this.leave(ino, each.own, each.places));
    const error = core.tx.commit();
    const came = [...this.coming];
    this.size = 0;
    this.coming.clear();
    this.joined.clear();
    this.leaving.clear();
    this.taken.clear();
    this.counted.clear();
    if (error < 0) return false;
    for (const done of left) done();
    for (const ino of came) {
      const inode = core.inodes.peek(ino);
      if (inode === null) continue;
      inode.gone = null;
      this.inodes.push(ino);
    }
    return true;
  }

  private take({ dir, name, was, is }: FollowedName): boolean {
    const { core } = this;
    const place = { dir, name };
    if (this.taken.has(keyOf(place)) || core.delta.name(dir, name)?.ino !== was.ino) return false;
    const own = core.delta.inode(was.ino);
    if (own === null || !hasTemplateData(own, was)) return false;
    const next = is === null ? null : withOwnAttributes(was, own, is, core.clock);
    const isThere = is !== null && this.coming.has(is.ino);
    const joined = is === null || isThere ? null : this.linked(is);
    // The file that would show is the env's own under another name.
    if (is !== null && !isThere && joined === null && isOwnElsewhere(core, place, is)) return false;
    this.begin();
    this.noteLeaving(was.ino, own, place);
    const isPlain = next === null && !isThere && joined === null;
    if (is === null || isPlain) core.tx.clearName(dir, name);
    else core.tx.setName(dir, name, is.ino, is.mode & S_IFMT);
    // A file takes a file's place: that leaves the directory's links as they are.
    if (is !== null && isDir(is.mode)) this.count(dir);
    if (joined !== null) this.join(joined);
    else if (next !== null && !isThere) this.come(next, place);
    return true;
  }

  /**
   * Returns the env's record of a coming file that the env already has under other names that the templates give
   * it, with the templates' bytes; else null.
   */
  private linked(is: InodeRecord): InodeRecord | null {
    const known = this.joined.get(is.ino) ?? this.core.delta.inode(is.ino);
    if (isDir(is.mode) || is.nlink === 1 || known === null || known.nlink === 0) return null;
    // What was written under one name is nothing that this one had.
    if (!hasTemplateData(known, is)) return null;
    const isHome = ({ dir, name }: DirEntryRef): boolean =>
      !isPrivateIno(dir) && this.to.lookup(dir, name)?.ino === is.ino;
    return this.core.delta.namesOf(is.ino).every(isHome) ? known : null;
  }

  private join(known: InodeRecord): void {
    const { core } = this;
    const record = { ...known, nlink: known.nlink + 1 };
    this.joined.set(record.ino, record);
    const inode = core.inodes.peek(record.ino);
    if (inode === null) core.tx.setNew(record);
    else core.tx.set(inode, record);
  }

  /** Brings a file to a name, and makes all names of a hard-linked file the env's, as one of them is. */
  private come(next: InodeRecord, first: DirEntryRef): void {
    const { core, to } = this;
    this.coming.add(next.ino);
    let nlink = 1;
    for (const place of next.nlink === 1 ? [] : to.names(next.ino)) {
      if (place.dir === first.dir && place.name === first.name) continue;
      if (to.lookup(place.dir, place.name)?.ino !== next.ino) continue;
      const own = core.delta.name(place.dir, place.name);
      const isFree = own === null || this.taken.has(keyOf(place));
      if (isFree) core.tx.setName(place.dir, place.name, next.ino, next.mode & S_IFMT);
      else if (!this.takeOther(place, own.ino, next)) continue;
      this.names.push({ ...place, isKnown: true, isLeft: false });
      nlink++;
    }
    const record = { ...next, nlink };
    const inode = core.inodes.peek(next.ino);
    if (inode === null) core.tx.setNew(record);
    else core.tx.set(inode, record);
  }

  /**
   * Handles another name of a coming file if the env already has something there. Returns true if that name
   * follows too.
   */
  private takeOther(place: DirEntryRef, ino: Ino | 0, is: InodeRecord): boolean {
    if (ino === 0 || isPrivateIno(ino)) return false;
    const was = this.to.everFile(place.dir, place.name, ino);
    return was !== null && this.take({ ...place, was, is });
  }

  private noteLeaving(ino: Ino, own: InodeRecord, place: DirEntryRef): void {
    const known = this.leaving.get(ino);
    if (known === undefined) this.leaving.set(ino, { own, places: [place] });
    else known.places.push(place);
    this.names.push({ ...place, isKnown: this.core.inodes.peek(ino) !== null, isLeft: false });
    this.taken.add(keyOf(place));
    this.size++;
  }

  /**
   * Removes the env's record of the old file, in the open change. If the file has other names, moves the record to
   * a new number for those: the old number is the template's and may come back with a version.
   * @returns work to do once the change is committed
   */
  private leave(ino: Ino, own: InodeRecord, places: readonly DirEntryRef[]): () => void {
    const { core } = this;
    const inode = core.inodes.peek(ino);
    const nlink = own.nlink - places.length;
    if (nlink > 0) {
      const others = core.delta.namesOf(ino).filter((place) => !this.taken.has(keyOf(place)));
      const isHome = ({ dir, name }: DirEntryRef): boolean =>
        !isPrivateIno(dir) && this.to.lookup(dir, name)?.ino === ino;
      if (others.some(isHome)) {
        const record = { ...own, nlink };
        if (inode === null) core.tx.setNew(record);
        else core.tx.set(inode, record);
        return () => undefined;
      }
      renumber(core, { ...own, nlink }, others);
      this.names.push(...others.map((place) => ({ ...place, isKnown: true, isLeft: true })));
    }
    core.tx.forget(ino);
    return () => {
      if (inode === null) return;
      letGo(inode, own);
      this.left.push(inode);
    };
  }

  private begin(): void {
    if (this.size === 0) this.core.tx.begin();
  }

  private count(dir: Ino): void {
    if (this.counted.has(dir)) return;
    this.counted.add(dir);
    // The templates may have a directory there.
    countAgain(this.core, dir);
  }
}

const keyOf = ({ dir, name }: DirEntryRef): string => `${dir} ${name}`;

/** Detaches an inode from the delta: programs that have it open keep it as it was. */
function letGo(inode: Inode, own: InodeRecord): void {
  inode.inDelta = false;
  inode.accessed = false;
  // Long attributes were read from the delta's record, so they are copied now.
  inode.record = { ...own };
}
