/**
 * Extended attributes of the inodes that the kernel knows. It knows as many as the machine has memory for, and any user
 * may fill the attributes of each: so only small ones stay in this process, and others are read when they are asked for.
 */
import type { Ino } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Delta } from './ports.ts';
import { totalBytes } from './xattr-room.ts';

type Xattrs = NonNullable<InodeRecord['xattrs']>;

/** Attributes of up to this many bytes stay: file capabilities, labels, short ACLs. */
const KEPT_BYTES = 256;

/** The delta's record of an inode, such that it keeps no long attributes in memory which the delta has on disk. */
export function withColdXattrs(record: InodeRecord, delta: Delta): InodeRecord {
  const { ino, xattrs } = record;
  if (xattrs === null || totalBytes(xattrs) <= KEPT_BYTES) return record;
  return cold({ ...record, xattrs: null }, new ColdXattrs(delta, ino, xattrs));
}

const cold = (rest: InodeRecord, own: ColdXattrs): InodeRecord => ({
  ...rest,
  get xattrs() {
    return own.read();
  },
});

class ColdXattrs {
  readonly #delta: Delta;
  readonly #ino: Ino;
  /** What was read last: the same until the event loop goes on, so that it can be compared by identity. */
  #last: WeakRef<Xattrs>;

  constructor(delta: Delta, ino: Ino, xattrs: Xattrs) {
    this.#delta = delta;
    this.#ino = ino;
    this.#last = new WeakRef(xattrs);
  }

  read(): Xattrs | null {
    const last = this.#last.deref();
    if (last !== undefined) return last;
    const xattrs = this.#delta.inode(this.#ino)?.xattrs ?? null;
    if (xattrs !== null) this.#last = new WeakRef(xattrs);
    return xattrs;
  }
}
