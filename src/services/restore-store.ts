import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { tableDamage } from '../base/lmdb-check.ts';
import { envDirectories } from '../manager/upkeep/fsck/env-directories.ts';
import { rootFormat } from '../store/marker.ts';
import type { Patience } from '../store/patience.ts';
import { hasDamagedRow } from '../store/row-damage.ts';
import { metaDir, openStore } from '../store/store.ts';
import { type Restored, restoreCopy } from '../store/store-copies.ts';
import { takeWriterLock } from '../store/writer-lock.ts';

/**
 * Puts the newest sound copy in the place of a damaged store. What came after the copy is lost to it: versions of templates,
 * and envs, whose directories stay, and are named by fsck.
 * @throws ByrefError 'usage' if the store is not damaged, 'notFound' if there is no copy, 'locked'
 */
export async function restoreStore(root: string, patience: Patience): Promise<Restored> {
  rootFormat(root);
  const lock = await takeWriterLock(root, patience);
  let restored: Restored;
  try {
    const data = path.join(metaDir(root), 'data.mdb');
    if (tableDamage(metaDir(root), true) === null && !hasDamagedRow(data)) {
      const hint = 'Run byref fsck without --restore-store.';
      throw new ByrefError('usage', `the store in ${metaDir(root)} can be read`, hint);
    }
    restored = restoreCopy(root);
  } finally {
    lock.release();
  }
  const store = await openStore(root, { write: true, patience });
  try {
    store.noteLostEnvs(Math.max(0, ...envDirectories(root)));
  } finally {
    await store.close();
  }
  return restored;
}
