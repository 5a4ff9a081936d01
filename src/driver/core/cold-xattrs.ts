/**
 * Keeps long extended attributes out of memory. The kernel may know as many inodes as the machine has memory for,
 * and any user may fill the attributes of each: so only small ones stay in this process, and others are read on
 * demand.
 */
import type { Ino } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Delta } from './ports.ts';
import { totalBytes } from './xattr-room.ts';

type Xattrs = NonNullable<InodeRecord['xattrs']>;

/** Attributes of up to this many bytes in all stay in memory: file capabilities, labels, short ACLs. */
const KEPT_BYTES = 256;

/** Returns a delta record that reads its long attributes from the delta when they are used, instead of holding them. */
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
  /** The value read last. It stays the same until the event loop goes on, so that it can be compared by identity. */
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
