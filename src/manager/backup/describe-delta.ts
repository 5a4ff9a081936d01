/** Writes what an env has changed as the rows of a backup. */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { type Ino, nameToText, type ObjectId } from '../../base/ids.ts';
import { DATA_OBJECT, DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { SAVED_INO } from '../../driver/core/set-aside.ts';
import { PRIVATE_DIR, privateName } from '../../driver/delta/layout.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import type { Store } from '../../store/store.ts';
import type { DeltaCopy } from '../envs/copy-delta.ts';
import { type BackupCounts, OBJECTS_DIR, ROWS_FILE } from './manifest.ts';
import { isBeyondStack, type RefNames } from './refs.ts';
import { encodeRow, type PrivateFile } from './rows.ts';

/** Characters that are written at once. */
const BUFFERED = 2 ** 18;

const stat = new Float64Array(STAT_SLOTS);

/** What was written. */
export interface Described extends BackupCounts {
  /** The patches that set files aside. */
  readonly patches: readonly number[];
}

/**
 * Writes rows, and copies the objects that the receiver may lack, into the directory of an env that nobody uses.
 * @param copies tells what the files were of which the directory has copies
 */
export function describeDelta(
  store: Store,
  directory: string,
  view: DeltaView,
  refs: RefNames,
  copies: DeltaCopy['files'],
): Described {
  return new Description(store, directory, view, refs, copies).write();
}

class Description {
  private readonly store: Store;
  private readonly directory: string;
  private readonly view: DeltaView;
  private readonly refs: RefNames;
  private readonly copies: DeltaCopy['files'];
  private readonly fd: number;
  /** Inodes that patches set aside, with the numbers of the patches. */
  private readonly aside = new Map<Ino, number>();
  private readonly patches: number[] = [];
  private buffered = '';

  constructor(
    store: Store,
    directory: string,
    view: DeltaView,
    refs: RefNames,
    copies: DeltaCopy['files'],
  ) {
    this.store = store;
    this.directory = directory;
    this.view = view;
    this.refs = refs;
    this.copies = copies;
    this.fd = openSync(path.join(directory, ROWS_FILE), 'wx', 0o600);
  }

  write(): Described {
    try {
      this.findAside();
      let [names, inodes, files, bytes] = [0, 0, 0, 0];
      for (const record of this.view.inodes()) {
        const file = this.putInode(record);
        inodes++;
        if (file === null) continue;
        files++;
        bytes += file.size;
      }
      for (const { dir, name, ino, type } of this.view.changedNames()) {
        const patch =
          this.aside.get(dir) ?? (dir === SAVED_INO ? this.aside.get(ino as Ino) : null);
        this.put({
          ...{ kind: 'name', dir: this.refs.of(dir), name: nameToText(name), type },
          ...{ ino: ino === 0 ? null : this.refs.of(ino), patch: patch ?? null },
        });
        names++;
      }
      writeSync(this.fd, this.buffered);
      return { names, inodes, files, bytes, patches: this.patches };
    } finally {
      closeSync(this.fd);
    }
  }

  /** Finds what patches set aside: driver/core/set-aside.ts says where it is. */
  private findAside(): void {
    const below = (dir: Ino): Ino[] =>
      this.view.list(dir, -1, Number.MAX_SAFE_INTEGER).map(({ ino }) => ino as Ino);
    for (const { name, ino } of this.view.list(SAVED_INO, -1, Number.MAX_SAFE_INTEGER)) {
      const patch = Number(/^p(\d+)$/.exec(name)?.[1]);
      this.patches.push(patch);
      this.aside.set(ino as Ino, patch);
      for (const dir of below(ino as Ino)) {
        this.aside.set(dir, patch);
        for (const file of below(dir)) this.aside.set(file, patch);
      }
    }
  }

  private putInode(record: InodeRecord): PrivateFile | null {
    const { ino, parent, name } = record;
    const ref = this.refs.of(ino);
    const file = record.data === DATA_PRIVATE ? this.fileOf(record) : null;
    const hasObject = record.data === DATA_OBJECT && isBeyondStack(ref);
    if (hasObject) this.takeObject(record.object as ObjectId);
    this.put({
      kind: 'inode',
      ino: ref,
      record: { ...record, ino: 0 as Ino, parent: 0, name: '', stamp: 0 },
      place:
        parent === 0 || name === '' ? null : { dir: this.refs.of(parent), name: nameToText(name) },
      file,
      hasObject,
      patch: this.aside.get(ino) ?? null,
    });
    return file;
  }

  private fileOf({ ino }: InodeRecord): PrivateFile | null {
    const name = privateName(ino);
    const file = path.join(this.directory, PRIVATE_DIR, name);
    // An orphan has none, or a file that a damaged env has lost.
    if (native.statAt(AT_FDCWD, file, stat, AT_SYMLINK_NOFOLLOW) < 0) return null;
    return {
      ...{ name, size: stat[STAT.size]!, atime: stat[STAT.atime]!, atimeNs: stat[STAT.atimeNs]! },
      ...{ mtime: stat[STAT.mtime]!, mtimeNs: stat[STAT.mtimeNs]! },
      ...{ source: this.copies.seen.get(name) ?? null, inBase: this.copies.known.has(name) },
    };
  }

  private takeObject(id: ObjectId): void {
    const objects = path.join(this.directory, OBJECTS_DIR);
    mkdirSync(objects, { recursive: true, mode: 0o700 });
    const target = path.join(objects, id);
    if (existsSync(target)) return;
    copyFileSync(this.store.objects.path(id), target, constants.COPYFILE_FICLONE);
  }

  private put(row: Parameters<typeof encodeRow>[0]): void {
    this.buffered += `${encodeRow(row)}\n`;
    if (this.buffered.length < BUFFERED) return;
    writeSync(this.fd, this.buffered);
    this.buffered = '';
  }
}
