/**
 * Makes the records that steps set.
 */
import { S_IFMT } from '../../../base/mode.ts';
import { DATA_PRIVATE, FLAG_KEPT, type InodeRecord } from '../../../codec/inode-record.ts';
import type { StepAttributes } from '../../../codec/steps.ts';

type Times = Pick<InodeRecord, 'atime' | 'atimeNs' | 'mtime' | 'mtimeNs'>;

/** Returns the record with the bytes of a template's file in place of its own, and with these times. */
export function withBytes(
  record: InodeRecord,
  { data, object, size }: InodeRecord,
  { atime, atimeNs, mtime, mtimeNs }: Times,
): InodeRecord {
  return { ...record, data, object, size, atime, atimeNs, mtime, mtimeNs };
}

type Attributes = Pick<InodeRecord, 'mode' | 'uid' | 'gid' | 'xattrs'>;

/** Returns the template's attributes, or the given ones in their place. */
export function withAttributes(
  template: Attributes,
  other: StepAttributes | undefined,
): Attributes {
  const { mode, uid, gid, xattrs } = template;
  if (other === undefined) return { mode, uid, gid, xattrs };
  const own = other.xattrs?.map(([key, value]) => [key, Buffer.from(value, 'base64')] as const);
  return {
    mode: (mode & S_IFMT) | other.mode,
    uid: other.uid,
    gid: other.gid,
    xattrs: own === undefined ? xattrs : own.length === 0 ? null : new Map(own),
  };
}

/** Returns true for a copy of a template's bytes, and for a template's file that a patch kept as it was. */
export const isCopyOrKept = ({ data, flags }: InodeRecord): boolean =>
  data === DATA_PRIVATE || (flags & FLAG_KEPT) !== 0;
