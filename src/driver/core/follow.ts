/**
 * Files of which an env has set attributes only follow the templates from version to version: the name gets the file that
 * the templates have there now, with the attributes that the env has set (own-attributes.ts), or is the templates' again
 * where there is none left. A further name that the env gave the old file keeps it, as after dpkg's rename over the name.
 *
 * Each file is taken along in one change of the journal, some hundreds in one. What was not taken along, because a
 * process died or the env was not mounted, is found at the next mount (followAll).
 */
import { type Ino, isPrivateIno } from '../../base/ids.ts';
import { isDir, S_IFMT } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { type Core, stamp } from './core.ts';
import type { Inode } from './inode.ts';
import { countAgain, isOwnElsewhere } from './names.ts';
import { hasTemplateData, withOwnAttributes } from './own-attributes.ts';
import { namesIn } from './own-names.ts';
import type { Delta, DirEntryRef, LowerTree } from './ports.ts';
import type { DiffEntry } from './tree-diff.ts';

/** Names in one change of the journal. */
const AT_ONCE = 256;

/** A name, and what the templates have there. */
export interface FollowedName extends DirEntryRef {
  /** The template's file that the env has set attributes of. */
  readonly was: InodeRecord;
  readonly is: InodeRecord | null;
}

export interface Followed {
  /** Names that are not as they were: also those of further links. `isKnown`: the kernel may have what was there. */
  readonly names: readonly (DirEntryRef & { readonly isKnown: boolean })[];
  /** Inodes that have other attributes, or are in memory with a record of the env's now. */
  readonly inodes: readonly Ino[];
}

/** What of an env tells whether it has set attributes only. */
export interface OwnRecords {
  readonly delta: Pick<Delta, 'name' | 'inode'>;
  readonly layers: Pick<LowerTree, 'everFile'>;
}

/** What the templates had under a name, if that is a file of which the env has set attributes only; else null. */
export function touchedOnly({ delta, layers }: OwnRecords, change: DiffEntry): InodeRecord | null {
  const { dir, name } = change;
  const own = delta.name(dir, name);
  if (own === null || own.ino === 0 || isPrivateIno(own.ino) || isDir(own.type)) return null;
  // Of another version, where it was left behind.
  const was = own.ino === change.was?.ino ? change.was : layers.everFile(dir, name, own.ino);
  const record = was === null ? null : delta.inode(own.ino);
  return record !== null && hasTemplateData(record, was!) ? was : null;
}

/**
 * Takes those of the names along of which the env has set attributes only.
 * @param to what the env sees afterwards
 */
export function follow(core: Core, to: LowerTree, names: Iterable<FollowedName>): Followed {
  const following = new Following(core, to);
  for (const each of names) if (!following.add(each)) break;
  following.commit();
  return following;
}

/** Before an env is served: takes along what is of other versions than those that it sees. */
export function followAll(core: Core): Followed {
  return follow(core, core.layers, leftBehind(core));
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

/** Those of an env's names that are of another version than it sees, and may follow. */
export function* leftAt(
  { delta, layers, inodes }: Core,
  places: Iterable<DirEntryRef>,
): Generator<FollowedName> {
  const hidden = new Map<Ino, boolean>();
  for (const { dir, name } of places) {
    const ino = delta.name(dir, name)?.ino ?? 0;
    if (ino === 0 || isPrivateIno(ino) || isPrivateIno(dir)) continue;
    const isHidden = hidden.get(dir) ?? inodes.isHidden(dir, layers);
    hidden.set(dir, isHidden);
    const is = isHidden ? null : layers.lookup(dir, name);
    if (is?.ino === ino) continue;
    // Null: the env moved it here from somewhere else.
    const was = layers.everFile(dir, name, ino);
    if (was !== null) yield { dir, name, was, is };
  }
}

class Following implements Followed {
  readonly names: (DirEntryRef & { readonly isKnown: boolean })[] = [];
  readonly inodes: Ino[] = [];
  private readonly core: Core;
  private readonly to: LowerTree;
  private size = 0;
  /** Files that come in this change. */
  private readonly coming = new Set<Ino>();
  /** Files that get further names in this change. */
  private readonly joined = new Map<Ino, InodeRecord>();
  /** Files that names leave in this change, and the names. */
  private readonly leaving = new Map<Ino, { own: InodeRecord; places: DirEntryRef[] }>();
  private readonly taken = new Set<string>();
  private readonly counted = new Set<Ino>();

  constructor(core: Core, to: LowerTree) {
    this.core = core;
    this.to = to;
    stamp(core);
  }

  /** False if the disk is full: nothing more can be done now. */
  add(name: FollowedName): boolean {
    this.take(name);
    return this.size < AT_ONCE || this.commit();
  }

  /** @returns false if nothing of this change was made */
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
    // What would show is the env's own under another name.
    if (is !== null && !isThere && joined === null && isOwnElsewhere(core, place, is)) return false;
    this.begin();
    this.noteLeaving(was.ino, own, place);
    const isPlain = next === null && !isThere && joined === null;
    if (is === null || isPlain) core.tx.clearName(dir, name);
    else core.tx.setName(dir, name, is.ino, is.mode & S_IFMT);
    this.count(dir);
    if (joined !== null) this.join(joined);
    else if (next !== null && !isThere) this.come(next, place);
    return true;
  }

  /** The env's record of a file that comes, if the env has it already under other names that the templates give it; else null. */
  private linked(is: InodeRecord): InodeRecord | null {
    const known = this.joined.get(is.ino) ?? this.core.delta.inode(is.ino);
    if (is.nlink === 1 || known === null || known.nlink === 0) return null;
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

  /** All names of a hard-linked file are the env's, if one is. */
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
      this.names.push({ ...place, isKnown: true });
      nlink++;
    }
    const record = { ...next, nlink };
    const inode = core.inodes.peek(next.ino);
    if (inode === null) core.tx.setNew(record);
    else core.tx.set(inode, record);
  }

  /** Another name of a file that comes, which is the env's already. */
  private takeOther(place: DirEntryRef, ino: Ino | 0, is: InodeRecord): boolean {
    if (ino === 0 || isPrivateIno(ino)) return false;
    const was = this.to.everFile(place.dir, place.name, ino);
    return was !== null && this.take({ ...place, was, is });
  }

  private noteLeaving(ino: Ino, own: InodeRecord, place: DirEntryRef): void {
    const known = this.leaving.get(ino);
    if (known === undefined) this.leaving.set(ino, { own, places: [place] });
    else known.places.push(place);
    this.names.push({ ...place, isKnown: this.core.inodes.peek(ino) !== null });
    this.taken.add(keyOf(place));
    this.size++;
  }

  /**
   * In the open change: the env's record of the old file goes, or is that of its further names only: under a number of
   * their own, since the old one is the template's, and may come back with a version.
   * @returns what is to be done once the change is made
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
      const record = { ...own, ino: core.delta.allocate(), nlink };
      core.tx.setNew(record);
      for (const { dir, name } of others) core.tx.setName(dir, name, record.ino, own.mode & S_IFMT);
      this.names.push(...others.map((place) => ({ ...place, isKnown: true })));
    }
    core.tx.forget(ino);
    return () => {
      if (inode !== null) letGo(inode, own);
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

/** What has it open goes on with it as it was. */
function letGo(inode: Inode, own: InodeRecord): void {
  inode.inDelta = false;
  inode.accessed = false;
  // Long attributes were read from the delta's record.
  inode.record = { ...own };
}
