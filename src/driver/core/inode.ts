import { ESTALE } from '../../base/errno.ts';
import { type Ino, type NodeId, SECOND_NODE } from '../../base/ids.ts';
import { isReg } from '../../base/mode.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import type { Node } from './api.ts';
import type { DirEntryRef, LowerTree } from './ports.ts';

/** One backing id of the kernel, and how many open files use it. */
export interface Backing {
  readonly id: number;
  opens: number;
}

/** What a copy-up found, and changed. */
export interface CopyUp {
  /** The record as it was before. */
  readonly old: InodeRecord;
  /** True if that was the env's own record, not the template's. */
  readonly wasOwn: boolean;
  /** The names that became the env's own with it. */
  readonly places: readonly DirEntryRef[];
  /** What the env saw. */
  readonly layers: LowerTree;
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
  /** Backing id for what `record.data` names, registered at the first open by passthrough. */
  backing: Backing | null = null;
  /** Opens that go through the kernel's page cache. */
  cachedOpens = 0;
  /**
   * Opened for reading and writing by passthrough: a shared mapping may change the file's size and
   * times, also after its descriptor is closed, and neither the kernel nor we would hear of it.
   */
  mayBeMapped = false;
  /**
   * In the upper directory of an overlay. overlayfs holds its dentry, and would not look it up again: it must not get a
   * second nodeid.
   */
  isUpper = false;
  /** The private file's mtime when a watch on its privileges began: see set-id-watch.ts. */
  watched: { mtime: number; mtimeNs: number } | null = null;
  /** It was created by the request that is served, which gets its attributes from its record. */
  isNew = false;
  /**
   * It was truncated to nothing, and its new bytes are still to come: they go to the disk when a writer closes it, since
   * many programs replace a file in this way.
   */
  wasEmptied = false;
  /** Its access time is newer than the delta's: see access-times.ts. */
  accessed = false;
  /** Open files that may write. */
  writers = 0;
  /** The copy-up that was the last change of it, while it can be undone: see unwritten.ts. */
  copied: CopyUp | null = null;
  /** The copy-up under way, if one is. */
  copying: Promise<number> | null = null;
  /**
   * The layers it was in, once a flip took it away: it is of an older version, and only what has it open leads
   * to it. It can be read, a directory with all that it had then, and nothing of it can be changed.
   */
  gone: LowerTree | null = null;
  /** What the first nodeid still stands for, once a copy-up under readers began the second one. */
  first: { record: InodeRecord; lookups: number } | null = null;

  /** When a request was refused last because it came by the first nodeid, in ms. */
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

  /** True if `node` is the nodeid from before a copy-up under readers. */
  isFirst(node: NodeId): boolean {
    return node !== this.node;
  }

  /** The answer to a request by the first nodeid that is about the file's bytes: -ESTALE. The path is walked once more then. */
  refuse(): number {
    this.refused = Date.now();
    return -ESTALE;
  }

  /** Goes on under the second nodeid; the first keeps `old`. */
  beginSecond(old: InodeRecord): void {
    this.first = { record: old, lookups: this.lookups };
    this.node = (this.ino + SECOND_NODE) as NodeId;
    this.lookups = 0;
    this.backing = null;
  }
}
