/** Removes versions, and the objects that nothing has any longer. */

import { failpoint } from '../../../base/failpoints.ts';
import type { ObjectId } from '../../../base/ids.ts';
import { composedOf } from '../../../store/compositions.ts';
import { forgetIdentity } from '../../../store/identities.ts';
import { versionKey } from '../../../store/keys.ts';
import { rawTables } from '../../../store/raw-tables.ts';
import { removeVersionRows } from '../../../store/remove-version.ts';
import type { Store, TemplateRow } from '../../../store/store.ts';
import { refKey } from '../../../store/tree-cache.ts';
import { removeLinkRows } from '../../../store/version-rows.ts';

/** The objects that were freed. */
export interface Freed {
  readonly objects: number;
  readonly bytes: number;
  /** Others store objects now: the files are removed when those have finished. */
  readonly later: boolean;
}

/** A version of a template. */
export interface VersionRef {
  readonly templateId: number;
  readonly version: number;
}

/**
 * Removes the versions' rows, and compositions made of them, in one transaction: all of it or nothing. Objects
 * that no version names any longer keep a row with 0 references until `sweepObjects`.
 * @param compositions further ones to remove
 */
export function removeVersions(
  store: Store,
  versions: readonly VersionRef[],
  compositions: readonly TemplateRow[] = [],
): void {
  store.transaction(() => removeInside(store, versions, compositions));
  failpoint('versions-removed');
}

/** Removes all rows of a template. Call it inside a transaction. */
export function removeTemplateRows(store: Store, row: TemplateRow): void {
  for (const [id, count] of removeLinkRows(rawTables(store), row.id))
    store.objects.addRefs(id, -count);
  store.catalog.remove(row);
}

function removeInside(
  store: Store,
  versions: readonly VersionRef[],
  compositions: readonly TemplateRow[],
): void {
  const gone = new Set(versions.map(refKey));
  const without = store.catalog
    .compositions()
    .filter((row) => composedOf(row).some((ref) => gone.has(refKey(ref))));
  for (const row of new Map(
    [...without, ...compositions].map((each) => [each.id, each]),
  ).values()) {
    removeTemplateRows(store, row);
  }
  for (const { templateId, version } of versions) {
    const dropped = removeVersionRows(rawTables(store), templateId, version);
    for (const [id, count] of dropped) store.objects.addRefs(id, -count);
    rawTables(store).table('versions').removeSync(versionKey(templateId, version));
    forgetIdentity(rawTables(store), templateId, version);
  }
}

/** Returns what removing them would free, beyond what is garbage already: it removes them and undoes that. */
export function wouldFree(
  store: Store,
  versions: readonly VersionRef[],
  compositions: readonly TemplateRow[],
): ObjectId[] {
  let unnamed: ObjectId[] = [];
  rawTables(store).attempt(() => {
    removeInside(store, versions, compositions);
    unnamed = store.objects.unnamed();
  });
  return unnamed;
}

/** Removes objects without a reference, except `kept`. It can be cut short and run again. */
export function sweepObjects(store: Store, kept: ReadonlySet<ObjectId>): Freed {
  const { objects } = store;
  const gone = objects.unnamed().filter((id) => !kept.has(id));
  const bytes = sizesOf(store, gone);
  if (gone.length === 0) return { objects: 0, bytes: 0, later: false };
  // Listed before their rows are removed, and deleted after: a kill in between leaves no unknown file.
  objects.writeDoubtful(gone, objects.makeUnfinished());
  failpoint('objects-doubtful');
  store.transaction(() => {
    for (const id of gone) objects.removeRow(id);
  });
  failpoint('objects-unrowed');
  const later = !objects.sweepUnfinished();
  return { objects: gone.length, bytes, later };
}

/** Returns the total size of objects, in bytes. */
export const sizesOf = (store: Store, ids: Iterable<ObjectId>): number =>
  [...ids].reduce((sum, id) => sum + (store.objects.row(id)?.size ?? 0), 0);
