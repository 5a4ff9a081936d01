/** Makes an env's changes again from the rows of a backup. */
import {
  constants,
  copyFileSync,
  existsSync,
  fchmodSync,
  fchownSync,
  linkSync,
  mkdirSync,
  renameSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import {
  type Ino,
  isPrivateIno,
  nameFromText,
  type ObjectId,
  PRIVATE_INO_BASE,
} from '../../base/ids.ts';
import { isDir, isReg } from '../../base/mode.ts';
import {
  DATA_OBJECT,
  DATA_PRIVATE,
  FLAG_UNSYNCED,
  type InodeRecord,
} from '../../codec/inode-record.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { EnvDelta } from '../../driver/delta/env-delta.ts';
import { PRIVATE_DIR, privateName } from '../../driver/delta/layout.ts';
import { openDelta } from '../../driver/delta/open-delta.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import type { Store } from '../../store/store.ts';
import { OBJECTS_DIR } from './manifest.ts';
import { RefInodes } from './refs.ts';
import { rowLines } from './row-lines.ts';
import { badRow, decodeRow, type InodeRow, type NameRow, type PrivateFile } from './rows.ts';

/** Rows per change of the journal. */
const AT_ONCE = 256;
/** More are moved into the link table before others come. */
const ROWS_IN_MEMORY = 20_000;
const OBJECT_ID = /^[0-9a-f]{64}$/;

const stat = new Float64Array(STAT_SLOTS);

/** What a rebuild is made from. */
export interface Rebuild {
  /** Where the backup is unpacked: its files are moved from there. */
  readonly unpacked: string;
  /** Where the backups are unpacked that it builds on, the newest first. */
  readonly bases: readonly string[];
  /** True: files of those are not moved from there, but get a second name. */
  readonly keepsBases: boolean;
  /** The directory of an env that does not exist yet. */
  readonly directory: string;
  /** What the env will see. */
  readonly lower: LowerTree;
  /** The manifest's versions; null: they are not in this store. */
  readonly versions: readonly (LowerTree | null)[];
  /** True for patches of this very store: what they set aside is set aside again. */
  readonly isKnownPatch: (patch: number) => boolean;
}

/**
 * Makes the link table, and puts the private files in their places. On disk when this resolves.
 * @returns how many files stay behind that patches of another store had set aside
 * @throws ByrefError 'badInput' for rows that are no env's, 'notFound' for a template's file that is not here
 */
export async function rebuildDelta(store: Store, rebuild: Rebuild): Promise<number> {
  const { unpacked, directory } = rebuild;
  mkdirSync(path.join(directory, PRIVATE_DIR), { recursive: true, mode: 0o700 });
  const highest = await highestOwn(unpacked);
  const errors: Error[] = [];
  const delta = await openDelta(directory, {
    openObject: (id, size) => store.objects.open(id, size),
    onError: (error) => errors.push(error),
  });
  let leftAside: number;
  try {
    delta.skipTo((highest + 1) as Ino);
    leftAside = await new Rebuilding(store, delta, rebuild).run();
  } finally {
    await delta.close();
  }
  if (errors.length > 0) throw errors[0]!;
  return leftAside;
}

/** Returns the highest number of a file of the env's own. */
async function highestOwn(unpacked: string): Promise<number> {
  let highest = PRIVATE_INO_BASE;
  for await (const { line } of rowLines(unpacked)) {
    const own = /^\{"i":"#([0-9a-f]{13})"/.exec(line)?.[1];
    if (own !== undefined) highest = Math.max(highest, Number.parseInt(own, 16));
  }
  return highest;
}

class Rebuilding {
  private readonly store: Store;
  private readonly delta: EnvDelta;
  private readonly rebuild: Rebuild;
  private readonly refs: RefInodes;
  private leftAside = 0;
  /** Inodes that have a row, to be named by names. */
  private readonly known = new Set<Ino>();
  /** Files of `bases` that have got their second name. */
  private readonly taken = new Set<string>();
  private pending = 0;

  constructor(store: Store, delta: EnvDelta, rebuild: Rebuild) {
    this.store = store;
    this.delta = delta;
    this.rebuild = rebuild;
    const { lower, versions } = rebuild;
    this.refs = new RefInodes(store, lower, versions, () => delta.allocate());
  }

  async run(): Promise<number> {
    for await (const { line, at } of rowLines(this.rebuild.unpacked)) {
      if (at % ROWS_IN_MEMORY === 0) {
        this.commit();
        await this.delta.checkpoint();
      }
      const row = decodeRow(line, at);
      try {
        if (row.patch !== null && !this.rebuild.isKnownPatch(row.patch)) this.leave(row);
        else if (row.kind === 'inode') this.putInode(row);
        else this.putName(row);
      } catch (error) {
        if (error instanceof RangeError) throw badRow(at, error.message);
        throw error;
      }
    }
    this.commit();
    return this.leftAside;
  }

  private leave(row: InodeRow | NameRow): void {
    if (row.kind === 'inode' && !isDir(row.record.mode)) this.leftAside++;
  }

  private putInode(row: InodeRow): void {
    const ino = this.refs.of(row.ino);
    if (this.known.has(ino)) throw new RangeError(`a second row of ${row.ino}`);
    this.known.add(ino);
    const { record, place } = row;
    const flags = record.flags & ~FLAG_UNSYNCED;
    const at =
      place === null ? null : { parent: this.refs.of(place.dir), name: nameFromText(place.name) };
    // Links of directories are counted again over the stack that is here.
    const plain = { ...record, ino, ...at, flags, stamp: 0 };
    this.change().setInode(this.withBytes(row, plain));
    this.next();
  }

  private withBytes(row: InodeRow, record: InodeRecord): InodeRecord {
    const { ino, object } = record;
    if (row.file !== null) return this.placeFile(row.file, record);
    if (record.data === DATA_PRIVATE) {
      if (record.size > 0) throw new RangeError(`the file of ${row.ino} is missing`);
      return record;
    }
    if (record.data !== DATA_OBJECT || !row.hasObject) return record;
    if (!isPrivateIno(ino)) return record;
    // No version here may have these bytes, so they become the env's own.
    if (!OBJECT_ID.test(object)) throw new RangeError(`the object of ${row.ino} is missing`);
    const from = path.join(this.rebuild.unpacked, OBJECTS_DIR, object);
    if (this.store.objects.row(object as ObjectId) !== null) return record;
    if (!existsSync(from)) throw new RangeError(`the object of ${row.ino} is missing`);
    const { atime, atimeNs, mtime, mtimeNs, size } = record;
    copyFileSync(from, this.privateFile(ino), constants.COPYFILE_FICLONE);
    return this.settled(
      { ...record, data: DATA_PRIVATE, object: '' },
      { name: privateName(ino), size, atime, atimeNs, mtime, mtimeNs, source: null, inBase: false },
    );
  }

  private placeFile(file: PrivateFile, record: InodeRecord): InodeRecord {
    if (!isReg(record.mode) || record.data !== DATA_PRIVATE)
      throw new RangeError(`${file.name} belongs to no regular file`);
    const from = this.find(file);
    if (native.statAt(AT_FDCWD, from, stat, AT_SYMLINK_NOFOLLOW) < 0)
      throw new RangeError(`private/${file.name} is missing`);
    const stays = file.inBase && this.rebuild.keepsBases;
    const isAlone = stays || stat[STAT.nlink] === 1;
    if (!isReg(stat[STAT.mode]!) || stat[STAT.size] !== file.size || !isAlone)
      throw new RangeError(`private/${file.name} is not the file that was backed up`);
    const to = this.privateFile(record.ino);
    if (this.taken.has(from)) throw new RangeError(`private/${file.name} is two files'`);
    if (stays) {
      this.taken.add(from);
      linkSync(from, to);
    } else renameSync(from, to);
    return this.settled(record, file);
  }

  /** Returns where the bytes of a private file are: in this backup, or in the newest of the others that has them. */
  private find({ name, inBase }: PrivateFile): string {
    const { unpacked, bases } = this.rebuild;
    const places = (inBase ? bases : [unpacked]).map((each) => path.join(each, PRIVATE_DIR, name));
    return places.find((each) => existsSync(each)) ?? places[0] ?? name;
  }

  /** Gives a private file its times. What the record says of its ctime stays true. */
  private settled(record: InodeRecord, file: PrivateFile): InodeRecord {
    const fd = native.openAt(AT_FDCWD, this.privateFile(record.ino), 0, 0);
    if (fd < 0) throw new Error(`private/${file.name} can't be opened: errno ${-fd}`);
    try {
      const { atime, atimeNs, mtime, mtimeNs } = file;
      fchmodSync(fd, 0o600);
      fchownSync(fd, 0, 0);
      native.futimens(fd, atime, atimeNs, mtime, mtimeNs);
      native.statFd(fd, stat);
      return {
        ...{ ...record, size: stat[STAT.size]!, blocks: stat[STAT.blocks]! },
        ...{ atime, atimeNs, mtime, mtimeNs },
        ...{ baseCtime: stat[STAT.ctime]!, baseCtimeNs: stat[STAT.ctimeNs]! },
      };
    } finally {
      native.close(fd);
    }
  }

  private privateFile = (ino: Ino): string =>
    path.join(this.rebuild.directory, PRIVATE_DIR, privateName(ino));

  private putName({ dir, name, ino, type }: NameRow): void {
    const target = ino === null ? 0 : this.refs.of(ino);
    if (target !== 0 && isPrivateIno(target) && !this.known.has(target))
      throw new RangeError(`${ino} is named, and has no row`);
    this.change().setName(this.refs.of(dir), nameFromText(name), target, type);
    this.next();
  }

  private change(): EnvDelta {
    if (this.pending === 0) this.delta.begin();
    return this.delta;
  }

  private next(): void {
    if (++this.pending === AT_ONCE) this.commit();
  }

  private commit(): void {
    if (this.pending === 0) return;
    this.pending = 0;
    const failed = this.delta.commit();
    if (failed < 0)
      throw new ByrefError(
        'noSpace',
        `the env's changes could not be written: errno ${-failed}`,
        'Free some space, then run this again.',
      );
  }
}
