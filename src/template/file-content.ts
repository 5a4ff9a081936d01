import { readFileSync } from 'node:fs';
import type { ObjectId } from '../base/ids.ts';
import type { Layers } from '../fs/ports.ts';
import type { Store } from '../store/store.ts';
import { fileAt } from './walk-version.ts';

/** A regular file's content as binary string; null if there is none. */
export function contentAt(store: Store, layers: Layers, path: string): string | null {
  const record = fileAt(layers, path);
  return record === null ? null : contentOf(store, record);
}

/** That of what has an object, or (empty) none. */
export const contentOf = (store: Store, { object }: { readonly object: ObjectId | '' }): string =>
  object === '' ? '' : readFileSync(store.objects.path(object), 'latin1');
