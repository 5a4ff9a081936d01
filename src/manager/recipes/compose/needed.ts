import type { Catalog } from '../../../store/catalog.ts';
import type { StackRef } from '../../../store/store.ts';

/**
 * True for a stack that does not show by itself what its templates share. What was imported says nothing of what it is to be put
 * on; one app where it was installed is as it was installed.
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
