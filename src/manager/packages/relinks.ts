/**
 * Finds what an env has of its own although its templates have the very same. Those files can be links again, so that they
 * take no room and follow the templates. A directory that the env made anew is dissolved into the templates' one.
 */
import path from 'node:path';
import { type Ino, isPrivateIno, type Name } from '../../base/ids.ts';
import { isDir, isReg } from '../../base/mode.ts';
import { DATA_PRIVATE, FLAG_KEPT, type InodeRecord } from '../../codec/inode-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import { type DirSteps, HIDDEN, makeStep, type Step } from '../../codec/steps.ts';
import { ctimeIsNewer } from '../../driver/core/blob-stat.ts';
import { entriesOf } from '../../driver/core/lower-entries.ts';
import { namesIn } from '../../driver/core/own-names.ts';
import type { DeltaEntry, DeltaName, DirEntryRef, LowerTree } from '../../driver/core/ports.ts';
import { PRIVATE_DIR, privateName } from '../../driver/delta/layout.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import type { TreeEntry } from './env-tree.ts';
import { sameAs, sameContent, seenFile } from './same-file.ts';

/** A name, and what the templates have there before and after a step. Without a step both are the same. */
export interface RelinkPlace extends DirEntryRef {
  readonly was: InodeRecord | null;
  readonly is: InodeRecord | null;
}

/** The env and the step that a Relinks works on, with its rules for single names. */
export interface RelinkParts {
  readonly view: DeltaView;
  /** The env's directory on the host. */
  readonly envDir: string;
  readonly from: LowerTree;
  readonly to: LowerTree;
  /** True for files whose times say nothing, because programs write them anew. @param dir a directory of the templates */
  anyTime(dir: Ino, name: Name): boolean;
  /** True for names that are to stay the env's own. */
  isKept(place: DirEntryRef): boolean;
  /**
   * True for an env's directory in which names may appear that the templates get, because it belongs to a package that
   * follows.
   */
  mayGrow(place: DirEntryRef): boolean;
}

/** Collects the steps by which an env's own names become links again. */
export class Relinks {
  /** Copies where the templates have the file itself: names that were parted from it come after. */
  private readonly inPlace: Step[] = [];
  private readonly found: Step[] = [];
  private readonly releases: Step[] = [];
  private readonly parts: RelinkParts;

  constructor(parts: RelinkParts) {
    this.parts = parts;
  }

  get steps(): readonly Step[] {
    return [...this.inPlace, ...this.found, ...this.releases];
  }

  /** Adds the step for one name, if there is one; false if the env's file differs. */
  async add(place: RelinkPlace, own: DeltaName): Promise<boolean> {
    if (own.ino === 0) {
      if (own.type !== HIDDEN) return false;
      this.found.push(makeStep('relink', place, 0));
      return true;
    }
    if (isDir(own.type) && !isPrivateIno(own.ino)) return this.addKeptDir(place, own.ino);
    if (isDir(own.type)) return this.addDir(place, own.ino);
    const seen = await this.same(own.ino, place, place);
    if (seen === null) return this.shareWithEither(place, own.ino);
    const isHome = [place.was, place.is].some((record) => record?.ino === own.ino);
    (isHome ? this.inPlace : this.found).push(makeStep('relink', place, own.ino, seen));
    return true;
  }

  private async shareWithEither(place: RelinkPlace, ino: Ino): Promise<boolean> {
    const own = this.parts.view.inode(ino);
    if (own === null) return false;
    return (
      (place.is !== null && (await this.share(place, own, place.is))) ||
      this.shareWithOrigin(place, own)
    );
  }

  /** Does as share() does, with what the templates have before the step, or had when the env copied the file. */
  async shareWithOrigin(place: RelinkPlace, own: InodeRecord): Promise<boolean> {
    const { dir, name, was } = place;
    if (was !== null && (await this.share(place, own, was))) return true;
    if (isPrivateIno(own.ino) || own.ino === was?.ino) return false;
    const origin = this.parts.from.everFile(dir, name, own.ino);
    return origin !== null && this.share(place, own, origin);
  }

  /**
   * Adds the step by which the env's copy keeps only its attributes. False if its bytes are not those of the template's file.
   * @param like that file: what the templates have under the name before or after the step
   */
  private async share(place: RelinkPlace, own: InodeRecord, like: InodeRecord): Promise<boolean> {
    const isCopy = own.data === DATA_PRIVATE && (own.flags & FLAG_KEPT) === 0;
    if (!isCopy || !isReg(own.mode)) return false;
    // A file that the env has unlinked from other names stays so for as long as the templates have no other version of it.
    const isUnlinked = like.nlink !== 1 && place.is?.ino === like.ino;
    if (own.ino !== like.ino && (own.nlink !== 1 || isUnlinked)) return false;
    const file = path.join(this.parts.envDir, PRIVATE_DIR, privateName(own.ino));
    const seen = seenFile(file);
    if (seen === null || !(await sameContent(own, file, like).catch(() => false))) return false;
    const compared = ctimeIsNewer(own, seen) ? seen : own;
    const step = { ...makeStep('share', place, own.ino, compared), like: like.ino };
    (own.ino === like.ino ? this.inPlace : this.found).push(step);
    return true;
  }

  /** Adds the step for a template's directory of which the env has only new times, from what it did in it. */
  addTouchedDir({ dir, name, record }: TreeEntry): void {
    if (record === null || !isDir(record.mode) || isPrivateIno(record.ino)) return;
    const [was, is] = [this.parts.from, this.parts.to].map((lower) => lower.lookup(dir, name));
    this.addKeptDir({ dir, name, was: was ?? null, is: is ?? null }, record.ino);
  }

  /**
   * Adds the step for a directory of the env's own, which goes if nothing is left in it. The caller adds directories before
   * what is in them.
   */
  addOwnDir(place: DirEntryRef, ino: Ino): void {
    const own = this.parts.view.inode(ino);
    if (own !== null && isPrivateIno(ino))
      this.releases.unshift(makeStep('release', place, ino, own));
  }

  /** Puts the step in front: the caller adds a directory before what is in it, so steps for inner directories come first. */
  private addKeptDir(place: RelinkPlace, ino: Ino): boolean {
    const { was, is } = place;
    const own = this.parts.view.inode(ino);
    const like = is ?? was;
    if (like?.ino !== ino || (own !== null && !isLike(own, like))) return false;
    this.releases.unshift(makeStep('release', place, ino, own ?? undefined));
    return true;
  }

  private async addDir(place: RelinkPlace, ino: Ino): Promise<boolean> {
    const { was, is } = place;
    const [w, t] = [dirOf(was), dirOf(is)];
    if (w === null && t === null) return false;
    const tree = await this.dissolve(place, ino, w, t);
    if (tree === null) return false;
    if (tree.to === 0 && (tree.move.length > 0 || hasMoves(tree))) return this.prune(tree);
    this.found.push({ ...makeStep('dissolve', place, ino), tree });
    return true;
  }

  /** The templates no longer have the directory, but the env has something in it: only what was theirs goes. */
  private prune({ ino, relink, dirs }: DirSteps): true {
    for (const { name, ino: own, ctime, ctimeNs } of relink)
      this.found.push({ kind: 'relink', dir: ino, name, ino: own, ctime, ctimeNs });
    for (const { name, tree } of dirs) {
      if (tree.move.length > 0 || hasMoves(tree)) this.prune(tree);
      else this.found.push({ ...makeStep('dissolve', { dir: ino, name }, tree.ino), tree });
    }
    return true;
  }

  /**
   * Plans how a directory of the env is dissolved into the templates' one.
   * @param at its place, with the directory that the templates have above it
   * @param was, is the templates' directories in its place
   * @returns null if it is to stay: its attributes differ, or it holds what is to stay the env's own
   */
  private async dissolve(
    at: DirEntryRef,
    ino: Ino,
    was: InodeRecord | null,
    is: InodeRecord | null,
  ): Promise<DirSteps | null> {
    const { view, from, to } = this.parts;
    const own = view.inode(ino);
    const like = is ?? was;
    if (own === null || like === null || !isLike(own, like)) return null;
    const found: Found = { relink: [], move: [], dirs: [], names: new Set() };
    for (const entry of namesIn(view, ino)) {
      found.names.add(entry.name);
      const place = {
        was: was === null ? null : from.lookup(was.ino, entry.name),
        is: is === null ? null : to.lookup(is.ino, entry.name),
      };
      const isKept = [was, is].some((at) => {
        return at !== null && this.parts.isKept({ dir: at.ino, name: entry.name });
      });
      if (isKept) return null;
      await this.dissolveEntry(entry, place, { dir: (is ?? was)!.ino, name: entry.name }, found);
    }
    const { relink, move, dirs } = found;
    const remove: Name[] = [];
    const clear: Name[] = [];
    if (is !== null) {
      for (const { name } of entriesOf(to, is.ino)) {
        if (this.parts.isKept({ dir: is.ino, name })) return null;
        if (found.names.has(name)) continue;
        // The env has removed what was there, so that stays removed; what is new comes.
        if (was !== null && from.lookup(was.ino, name) !== null) remove.push(name);
        else if (!this.parts.mayGrow(at)) return null;
      }
      // Names that the env had removed before it removed the directory itself.
      for (const { name, ino: left } of namesIn(view, is.ino)) {
        if (left === 0 && !move.some((each) => each.name === name) && !remove.includes(name))
          clear.push(name);
      }
    }
    return { ino, to: is?.ino ?? 0, relink, move, dirs, remove, clear };
  }

  private async dissolveEntry(
    { name, ino, type }: DeltaEntry,
    sides: Pick<RelinkPlace, 'was' | 'is'>,
    place: DirEntryRef,
    found: Found,
  ): Promise<void> {
    if (ino === 0) return;
    if (isDir(type)) {
      const [was, is] = [dirOf(sides.was), dirOf(sides.is)];
      const tree =
        isPrivateIno(ino) && (was ?? is) !== null ? await this.dissolve(place, ino, was, is) : null;
      if (tree !== null && (is !== null || !(tree.move.length > 0 || hasMoves(tree))))
        found.dirs.push({ name, tree });
      else found.move.push({ name, ino, type });
      return;
    }
    const seen = await this.same(ino, sides, place);
    if (seen === null) found.move.push({ name, ino, type });
    else found.relink.push({ name, ino, ...seen });
  }

  private async same(ino: Ino, { was, is }: Pick<RelinkPlace, 'was' | 'is'>, place: DirEntryRef) {
    const { view, envDir } = this.parts;
    const own = view.inode(ino);
    const sides = [is, was].filter((side) => side !== null);
    if (own === null || sides.length === 0) return null;
    const file = path.join(envDir, PRIVATE_DIR, privateName(ino));
    const anyTime = this.parts.anyTime(place.dir, place.name);
    return sameAs({ own, file, anyTime }, sides).catch(() => null);
  }
}

interface Found {
  readonly relink: DirSteps['relink'][number][];
  readonly move: DirSteps['move'][number][];
  readonly dirs: DirSteps['dirs'][number][];
  readonly names: Set<Name>;
}

const dirOf = (record: InodeRecord | null): InodeRecord | null =>
  record !== null && isDir(record.mode) ? record : null;

const hasMoves = ({ dirs }: DirSteps): boolean =>
  dirs.some(({ tree }) => tree.move.length > 0 || hasMoves(tree));

/** Compares attributes of directories. Their times and link counts follow from what is in them. */
const isLike = (own: InodeRecord, is: InodeRecord): boolean =>
  own.mode === is.mode &&
  own.uid === is.uid &&
  own.gid === is.gid &&
  sameXattrs(own.xattrs, is.xattrs);
