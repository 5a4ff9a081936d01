/** Computes how much a template takes in the store, and how much of that it shares with other templates. */
import type { ObjectId } from '../../base/ids.ts';
import { BLOCK_BYTES } from '../../codec/inode-record.ts';
import type { Store } from '../../store/store.ts';

/** Sizes of the objects that any of its versions names, each counted once. */
export interface TemplateSizes {
  readonly storedBytes: number;
  /** Objects that another template names too, in any version. */
  readonly sharedBytes: number;
  /** The others: stored less shared, which is what removing the template frees. */
  readonly exclusiveBytes: number;
  /** What all of them take on disk. */
  readonly diskBytes: number;
}

/**
 * Computes the sizes in one pass over the template's own rows, however much else is in the store: an object
 * with more references than those belongs to another template, too.
 */
export function templateSizes(store: Store, template: number): TemplateSizes {
  let [storedBytes, sharedBytes, diskBytes] = [0, 0, 0];
  for (const [id, own] of ownReferences(store, template)) {
    const row = store.objects.row(id);
    if (row === null) continue;
    storedBytes += row.size;
    diskBytes += row.blocks * BLOCK_BYTES;
    if (row.refs > own) sharedBytes += row.size;
  }
  return { storedBytes, sharedBytes, exclusiveBytes: storedBytes - sharedBytes, diskBytes };
}

/** Counts how many of the template's records name each object. */
function ownReferences(store: Store, template: number): Map<ObjectId, number> {
  const own = new Map<ObjectId, number>();
  for (const { object } of store.records(template)) {
    if (object !== '') own.set(object, (own.get(object) ?? 0) + 1);
  }
  return own;
}
