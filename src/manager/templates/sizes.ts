/** What a template takes in the store, and what of it other templates have too. */
import type { ObjectId } from '../../base/ids.ts';
import { decodeHistory } from '../../codec/link-history.ts';
import { linkKey } from '../../store/keys.ts';
import { ABOVE_ROOT } from '../../store/link-rows.ts';
import type { Store } from '../../store/store.ts';

/** Of the objects that any of its versions names, each counted once. */
export interface TemplateSizes {
  readonly storedBytes: number;
  /** Of those that another template names too, in any version. */
  readonly sharedBytes: number;
  /** Of the others: stored less shared, which is what removing the template frees. */
  readonly exclusiveBytes: number;
  /** What all of them take on the disk. */
  readonly diskBytes: number;
}

const BLOCK = 512;

/**
 * One pass over the template's own rows, whatever else is in the store: an object with more references than
 * those is another template's, too.
 */
export function templateSizes(store: Store, template: number): TemplateSizes {
  let [storedBytes, sharedBytes, diskBytes] = [0, 0, 0];
  for (const [id, own] of ownReferences(store, template)) {
    const row = store.objects.row(id);
    if (row === null) continue;
    storedBytes += row.size;
    diskBytes += row.blocks * BLOCK;
    if (row.refs > own) sharedBytes += row.size;
  }
  return { storedBytes, sharedBytes, exclusiveBytes: storedBytes - sharedBytes, diskBytes };
}

/** How many of the template's records name each object. */
function ownReferences(store: Store, template: number): Map<ObjectId, number> {
  const own = new Map<ObjectId, number>();
  const start = linkKey(template, ABOVE_ROOT, 0, '');
  const end = linkKey(template + 1, ABOVE_ROOT, 0, '');
  for (const { value } of store.tables.table('links').getRange({ start, end })) {
    for (const { record } of decodeHistory(value)) {
      const object = record?.object ?? '';
      if (object !== '') own.set(object, (own.get(object) ?? 0) + 1);
    }
  }
  return own;
}
