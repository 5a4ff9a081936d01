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
