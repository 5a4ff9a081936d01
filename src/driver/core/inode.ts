import { ESTALE } from '../../base/errno.ts';
import { type Ino, type NodeId, SECOND_NODE } from '../../base/ids.ts';
import { isReg } from '../../base/mode.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import type { Node } from './api.ts';
import type { DirEntryRef, LowerTree } from './ports.ts';

/** A backing id of the kernel, and how many open files use it. */
export interface Backing {
  readonly id: number;
  opens: number;
  /** True if it is the old file of an object that was replaced: nothing is opened with it once its last open has ended. */
  isOld?: boolean;
}

/** The state that a copy-up replaced, so that it can be undone. */
export interface CopyUp {
  /** The record as it was before. */
  readonly old: InodeRecord;
  /** True if `old` was the env's own record, not the template's. */
  readonly wasOwn: boolean;
  /** The names that the copy-up made the env's own. */
  readonly places: readonly DirEntryRef[];
  /** The lower tree that the env saw then. */
  readonly lower: LowerTree;
}

/**
 * An inode the kernel knows, or that an operation is working on.
 *
 * INVARIANT: all passthrough opens of one nodeid share `backing` (the kernel answers EIO otherwise), and
 * passthrough and cached opens of one nodeid never coexist.
 */
export class Inode implements Node {
  readonly ino: Ino;
  /** The nodeid under which it is looked up now. */
  node: NodeId;
  record: InodeRecord;
  /** True once the delta has a record for it. */
  inDelta: boolean;
  /** Kernel references to `node`. */
  lookups = 0;
  /** Backing id for the bytes that `record.data` names; registered at the first open by passthrough. */
  backing: Backing | null = null;
  /** Number of opens that are not by passthrough. */
  cachedOpens = 0;
  /** Number of these that don't use the page cache. They and others never coexist. */
  uncachedOpens = 0;
  /** True after such an open: pages that the kernel has cached may be older than the file. */
  wasUncached = false;
  /**
   * True once it was opened for reading and writing by passthrough: a shared mapping may then change the file's
   * size and times, even after the descriptor is closed, and neither the kernel nor we would hear of it.
   */
  mayBeMapped = false;
  /**
   * True if it is in the upper directory of an overlay. overlayfs holds its dentry and would not look it up again,
   * so it must not get a second nodeid.
   */
  isUpper = false;
  /** The private file's mtime when a watch on its privileges began: see set-id-watch.ts. */
  watched: { mtime: number; mtimeNs: number } | null = null;
  /** True while the request that created it is served: its attributes then come from its record. */
  isNew = false;
  /**
   * True after it was truncated to nothing, while its new bytes are still to come. They go to disk when a writer
   * closes it, since many programs replace a file this way.
   */
  wasEmptied = false;
  /** True if its access time is newer than the delta's: see access-times.ts. */
  accessed = false;
  /** Number of open files that may write. */
  writers = 0;
  /** The copy-up, if that was its last change and can be undone: see unwritten.ts. */
  copied: CopyUp | null = null;
  /** The copy-up that is running, if any. */
  copying: Promise<number> | null = null;
  /**
   * The lower tree it was in, if a flip took it away: it is of an older version, and only programs that have it
   * open can reach it. It can be read (a directory shows everything it had then), but nothing of it can be
   * changed.
   */
  gone: LowerTree | null = null;
  /**
   * The record and count that the first nodeid still stands for, after a copy-up under readers began the second
   * one.
   */
  first: { record: InodeRecord; lookups: number } | null = null;

  /** Where ResumeRecords keeps its note; 0: there is none. */
  place = 0;

  /** When a request was last refused because it came by the first nodeid; ms since the epoch. */
  refused = 0;

  constructor(ino: Ino, record: InodeRecord, inDelta: boolean) {
    this.ino = ino;
    this.node = ino as number as NodeId;
    this.record = record;
    this.inDelta = inDelta;
  }

  get isPrivateData(): boolean {
    return this.record.data === DATA_PRIVATE && isReg(this.record.mode);
  }

  get isOpen(): boolean {
    return this.cachedOpens + (this.backing?.opens ?? 0) > 0;
  }

  /** Returns true if `node` is the nodeid from before a copy-up under readers. */
  isFirst(node: NodeId): boolean {
    return node !== this.node;
  }

  /**
   * Answers a request for the file's bytes that came by the first nodeid: -ESTALE, which makes the kernel walk the
   * path once more.
   */
  refuse(): number {
    this.refused = Date.now();
    return -ESTALE;
  }

  /** Moves the inode to its second nodeid; the first one keeps `old`. */
  beginSecond(old: InodeRecord): void {
    this.first = { record: old, lookups: this.lookups };
    this.node = (this.ino + SECOND_NODE) as NodeId;
    this.lookups = 0;
    this.backing = null;
  }
}
