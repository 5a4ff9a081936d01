/** Finds object files that no row of the store knows. */

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import type { ObjectId } from '../../../base/ids.ts';
import { decodeHistory } from '../../../codec/link-history.ts';
import { rawTables } from '../../../store/raw-tables.ts';
import type { Store } from '../../../store/store.ts';
import { objectsOfEnvs } from './env-objects.ts';

/**
 * Returns the paths of object files without a row, which a killed command left.
 * @throws ByrefError 'corrupt' if something names one of them: then its row was lost, and it must stay
 */
export async function strayObjects(store: Store): Promise<string[]> {
  const strays = new Map<ObjectId, string>();
  const { dir } = store.objects;
  for (const prefix of readdirSync(dir)) {
    if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
    for (const rest of readdirSync(path.join(dir, prefix))) {
      const id = (prefix + rest) as ObjectId;
      if (store.objects.row(id) === null) strays.set(id, path.join(dir, prefix, rest));
    }
  }
  if (strays.size === 0) return [];
  const [named] = [...objectsOfLinks(store, strays), ...(await objectsOfEnvs(store, strays))];
  if (named !== undefined) {
    const message = `the store has lost the row of object ${named}, which is still needed`;
    throw new ByrefError('corrupt', message, 'Run byref fsck --repair, then byref gc again.');
  }
  return [...strays.values()];
}

/**
 * Yields those of the candidates that a template's records name. It reads all records, so call it only if there
 * is a candidate.
 */
function* objectsOfLinks(
  store: Store,
  candidates: ReadonlyMap<ObjectId, unknown>,
): Generator<ObjectId> {
  for (const { value } of rawTables(store).table('links').getRange()) {
    for (const { record } of decodeHistory(value)) {
      if (record !== null && record.object !== '' && candidates.has(record.object))
        yield record.object;
    }
  }
}
