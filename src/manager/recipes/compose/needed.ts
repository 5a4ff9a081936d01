import type { Catalog } from '../../../store/catalog.ts';
import type { StackRef } from '../../../store/store.ts';

/**
 * Returns true for a stack that needs a composition to show what its templates share. An imported app does not
 * say what it belongs on, and a single app on the version on which it was installed is complete as it is.
 * @param plain the OS template first, without a composition
 */
export function needsComposition(
  catalog: Pick<Catalog, 'version'>,
  plain: readonly StackRef[],
): boolean {
  const [os, ...apps] = plain;
  const bases = apps.map((app) => catalog.version(app.templateId, app.version)?.base ?? null);
  return apps.length === 1
    ? bases[0] !== null && bases[0]!.version !== os!.version
    : bases.some((base) => base !== null);
}
