import type { InodeRecord } from '../../codec/inode-record.ts';
import type { BlobStat } from './ports.ts';

/** One to be filled by Blobs.statPrivate; kept by its user, so that a request allocates none. */
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

/** True if the private file's ctime is the inode's: it moved on from what copy-up left there, and the record's is older. */
export function ctimeIsNewer(
  record: InodeRecord,
  stat: Pick<BlobStat, 'ctime' | 'ctimeNs'>,
): boolean {
  if (stat.ctime === record.baseCtime && stat.ctimeNs === record.baseCtimeNs) return false;
  if (stat.ctime !== record.ctime) return stat.ctime > record.ctime;
  return stat.ctimeNs > record.ctimeNs;
}
