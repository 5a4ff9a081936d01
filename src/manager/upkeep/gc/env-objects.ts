import { existsSync } from 'node:fs';
import type { ObjectId } from '../../../base/ids.ts';
import { readDelta } from '../../../driver/delta/read-delta.ts';
import { envDir, type Store } from '../../../store/store.ts';

/**
 * Returns those of the candidates that an env's own records name: objects of files whose attributes it changed,
 * and of copies whose bytes are not known to be on disk. It reads the changes of all envs, so call it only if
 * there is a candidate.
 * @throws ByrefError 'corrupt' if an env's changes can't be read: then nothing may be removed
 */
export async function objectsOfEnvs(
  store: Store,
  candidates: Pick<ReadonlySet<ObjectId>, 'has' | 'size'>,
): Promise<Set<ObjectId>> {
  const named = new Set<ObjectId>();
  if (candidates.size === 0) return named;
  for (const { id } of store.envs()) {
    const directory = envDir(store.root, id);
    if (!existsSync(directory)) continue;
    const view = await readDelta(directory);
    try {
      for (const { object } of view.inodes()) {
        if (object !== '' && candidates.has(object)) named.add(object);
      }
    } finally {
      await view.close();
    }
  }
  return named;
}
