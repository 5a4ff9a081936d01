import type { RowKind } from '../codec/store-rows.ts';
import { type ImportOptions, importTemplate } from '../manager/templates/import.ts';
import type { Store, VersionRow } from '../store/store.ts';

/** The outcome of importVersion(). */
export interface TemplateImported {
  readonly template: string;
  readonly kind: RowKind;
  readonly version: Omit<VersionRow, 'dateMs'> & {
    /** When it was added. ISO 8601, UTC. */
    readonly date: string;
  };
}

/**
 * Imports a directory, a tar or an image as a version of a template. The store is open for adding.
 * @throws ByrefError as importTemplate()
 */
export async function importVersion(
  store: Store,
  name: string,
  source: string,
  options: ImportOptions,
): Promise<TemplateImported> {
  const { template, version } = await importTemplate(store, name, source, options);
  const { dateMs, ...rest } = version;
  const date = new Date(dateMs).toISOString();
  return { template: template.name, kind: template.kind, version: { ...rest, date } };
}
