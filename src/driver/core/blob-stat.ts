import type { InodeRecord } from '../../codec/inode-record.ts';
import type { BlobStat } from './ports.ts';

/** Returns an empty BlobStat for Blobs.statPrivate to fill. Its user keeps it, so that requests allocate none. */
export const emptyBlobStat = (): BlobStat => ({
  size: 0,
  blocks: 0,
  atime: 0,
  atimeNs: 0,
  mtime: 0,
  mtimeNs: 0,
  ctime: 0,
  ctimeNs: 0,
});

/**
 * Returns true if the inode's ctime is that of the private file: it has moved on since copy-up, and the record's
 * ctime is older.
 */
export function ctimeIsNewer(
  record: InodeRecord,
  stat: Pick<BlobStat, 'ctime' | 'ctimeNs'>,
): boolean {
  if (stat.ctime === record.baseCtime && stat.ctimeNs === record.baseCtimeNs) return false;
  if (stat.ctime !== record.ctime) return stat.ctime > record.ctime;
  return stat.ctimeNs > record.ctimeNs;
}
