/** Reads all of an env's delta once, and keeps what its checks need: a short form of each inode. */
import { type Ino, type Name, ROOT_INO } from '../../../base/ids.ts';
import { isDir, S_IFMT } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import type { DirEntryRef } from '../../../driver/core/ports.ts';
import { SAVED_INO } from '../../../driver/core/set-aside.ts';
import type { ChangedName, DeltaView } from '../../../driver/delta/read-delta.ts';
import type { DamagedRow } from '../../../driver/delta/table-view.ts';
import type { EnvLowerTree } from './env-lower-tree.ts';
import type { Job } from './job.ts';

/** The short form of an inode in the delta. */
export type OwnInode = Pick<
  InodeRecord,
  'mode' | 'nlink' | 'data' | 'object' | 'parent' | 'name' | 'stamp'
> & {
  /** Names of the delta that lead to it. */
  names: number;
};

/** A name that leads to an inode. */
export type OwnName = Pick<ChangedName, 'dir' | 'name' | 'type'> & { readonly ino: Ino };

/** The content of one env's delta, in the form that its checks need. */
export class DeltaScan {
  readonly inodes = new Map<Ino, OwnInode>();
  /** The name that leads to an inode; the first one if there are several. */
  readonly places = new Map<Ino, DirEntryRef>();
  /** How many subdirectories more than in its templates a directory has; NaN if that is unknown. */
  readonly subdirectories = new Map<Ino, number>();
  /** Names whose inode has no record in the delta. */
  readonly unowned: OwnName[] = [];
  /** Names whose type differs from their inode's. */
  readonly mistyped: OwnName[] = [];
  /** Names of directories whose record gives another place. */
  readonly elsewhere: OwnName[] = [];
  /** How many names are in something that is not a directory, as far as is known. */
  readonly nowhere = new Map<Ino, number>();
  /** How many names are in a directory that was removed according to its record. */
  readonly inRemoved = new Map<Ino, number>();
  readonly damaged: DamagedRow[] = [];
  /** Inodes whose record can't be read. */
  readonly unread = new Set<Ino>();
  highestIno: Ino = SAVED_INO;
  names = 0;
  private readonly job: Job;
  private readonly lower: EnvLowerTree;

  constructor(job: Job, view: DeltaView, lower: EnvLowerTree) {
    this.job = job;
    this.lower = lower;
    const onDamage = (row: DamagedRow): void => {
      this.damaged.push(row);
      if (row.table === 'inodes' && row.key.length === 8) {
        this.unread.add(Number(row.key.readBigUInt64BE(0)) as Ino);
      }
    };
    for (const record of view.inodes(onDamage)) this.takeInode(record);
    for (const name of view.changedNames(onDamage)) this.takeName(name);
  }

  private takeInode(record: InodeRecord): void {
    const { ino, mode, nlink, data, object, parent, name, stamp } = record;
    this.inodes.set(ino, { mode, nlink, data, object, parent, name, stamp, names: 0 });
    this.saw(ino);
  }

  private saw(ino: Ino): void {
    if (ino > this.highestIno) this.highestIno = ino;
  }

  private takeName({ dir, name, ino, type }: ChangedName): void {
    this.names++;
    const own = ino === 0 ? undefined : this.inodes.get(ino);
    this.countSubdirectory(dir, name, ino !== 0 && isDir(own?.mode ?? type));
    // A whiteout leads to no inode.
    if (ino === 0) return;
    this.saw(ino);
    const entry = { dir, name, ino, type };
    if (!this.isDirectory(dir)) this.nowhere.set(dir, (this.nowhere.get(dir) ?? 0) + 1);
    else if (this.inodes.get(dir)?.nlink === 0) {
      this.inRemoved.set(dir, (this.inRemoved.get(dir) ?? 0) + 1);
    }
    if (own === undefined) {
      if (!this.unread.has(ino)) this.unowned.push(entry);
      return;
    }
    own.names++;
    if (!this.places.has(ino)) this.places.set(ino, { dir, name });
    if ((own.mode & S_IFMT) !== (type & S_IFMT)) this.mistyped.push(entry);
    if (!isDir(own.mode)) return;
    if (own.parent !== dir || own.name !== name) this.elsewhere.push(entry);
  }

  private countSubdirectory(dir: Ino, name: Name, isThere: boolean): void {
    const below = this.lower.lookup(dir, name);
    const before = this.subdirectories.get(dir) ?? 0;
    const was = below === undefined ? Number.NaN : below !== null && isDir(below.mode) ? 1 : 0;
    const step = (isThere ? 1 : 0) - was;
    if (step !== 0) this.subdirectories.set(dir, before + step);
  }

  /** Returns false if names may be among the rows that can't be read: then no inode can be said to have too few. */
  get hasAllNames(): boolean {
    return !this.damaged.some(({ table }) => table === 'names');
  }

  /** Tells whether it can contain names: a directory of the env, or one that a template has or had. */
  private isDirectory(dir: Ino): boolean {
    const own = this.inodes.get(dir);
    if (own !== undefined) return isDir(own.mode);
    if (this.unread.has(dir)) return true;
    return dir === ROOT_INO || dir === SAVED_INO || this.job.dirPlaces.has(dir);
  }
}
