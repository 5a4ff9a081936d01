/**
 * Keeps long extended attributes and long targets of symlinks out of memory. The kernel may know as many inodes as the
 * machine has memory for, and any user may make them as long as they get: so only short ones stay in this process, and
 * others are read on demand.
 */
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Delta } from './ports.ts';
import { totalBytes } from './xattr-room.ts';

type Xattrs = NonNullable<InodeRecord['xattrs']>;

/** Attributes of up to this many bytes in all stay in memory: file capabilities, labels, short ACLs. */
const KEPT_BYTES = 256;
/** As many of them do: each takes some 200 bytes besides its own. */
const KEPT_XATTRS = 2;

/** Returns a delta record that reads its long parts from the delta when they are used, instead of holding them. */
export function withColdParts(record: InodeRecord, delta: Delta): InodeRecord {
  const { target, xattrs } = record;
  // Attributes of symlinks are short: only root of the machine can set any.
  if (target.length > KEPT_BYTES) {
    const { target: _long, ...rest } = record;
    return Object.defineProperty(rest, 'target', coldOf(delta).target) as InodeRecord;
  }
  if (xattrs === null) return record;
  if (xattrs.size <= KEPT_XATTRS && totalBytes(xattrs) <= KEPT_BYTES) return record;
  const { xattrs: _long, ...rest } = record;
  return Object.defineProperty(rest, 'xattrs', coldOf(delta).xattrs) as InodeRecord;
}

/**
 * Returns the record with all of it in memory. The delta is given no other: a record that reads its long parts from the
 * delta would, in the delta, read them from itself.
 */
export function withWarmParts(record: InodeRecord): InodeRecord {
  const isCold = (part: 'target' | 'xattrs'): boolean =>
    Object.getOwnPropertyDescriptor(record, part)?.get !== undefined;
  return isCold('xattrs') || isCold('target') ? { ...record } : record;
}

/**
 * The properties that all cold records of one delta have. They share the getters, and get them as new properties: for
 * others V8 makes a table for each record, of 1.5 KB.
 */
interface ColdProperties {
  readonly target: PropertyDescriptor;
  readonly xattrs: PropertyDescriptor;
}

const known = new WeakMap<Delta, ColdProperties>();

function coldOf(delta: Delta): ColdProperties {
  let found = known.get(delta);
  if (found === undefined) {
    found = coldProperties(delta);
    known.set(delta, found);
  }
  return found;
}

function coldProperties(delta: Delta): ColdProperties {
  /** What was read in this turn of the event loop: it stays the same, so that it can be compared by identity. */
  const read = new Map<InodeRecord, Xattrs | null>();
  function target(this: InodeRecord): string {
    return delta.inode(this.ino)?.target ?? '';
  }
  function xattrs(this: InodeRecord): Xattrs | null {
    let found = read.get(this);
    if (found === undefined) {
      found = delta.inode(this.ino)?.xattrs ?? null;
      if (read.size === 0) setImmediate(() => read.clear());
      read.set(this, found);
    }
    return found;
  }
  const own = { enumerable: true, configurable: true };
  return { target: { ...own, get: target }, xattrs: { ...own, get: xattrs } };
}
