import { ByrefError } from '../../base/error.ts';
import type { ObjectId } from '../../base/ids.ts';
import { readWhole } from '../../base/read-whole.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { Store } from '../../store/store.ts';
import { REGISTRY_BYTES_MAX, registryContent } from '../merge/limits.ts';
import { fileAt } from './walk-version.ts';

/** Returns a regular file's content as a binary string; null if there is no such file. */
export function contentAt(store: Store, lower: LowerTree, path: string): string | null {
  const record = fileAt(lower, path);
  return record === null ? null : contentOf(store, record, path);
}

/**
 * Returns the content of a record's object, or '' if it has none.
 * @param what the path, for the message
 * @throws ByrefError 'badInput' if it is too large for a registry file
 */
export function contentOf(
  store: Store,
  { object }: { readonly object: ObjectId | '' },
  what: string,
): string {
  if (object === '') return '';
  const read = registryContent(readWhole(store.objects.path(object), REGISTRY_BYTES_MAX));
  if ('content' in read) return read.content;
  const hint = 'Put a smaller one into the template: it is read in memory.';
  throw new ByrefError('badInput', `${what} of a template ${read.why}`, hint);
}
