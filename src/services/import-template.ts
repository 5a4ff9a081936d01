import { readGivenFile } from '../base/given-files.ts';
import type { RowKind } from '../codec/store-rows.ts';
import { needsText, parseNeeds } from '../manager/recipes/build/needs.ts';
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
 * @param needs a file that says what its envs need; null: nothing
 * @throws ByrefError as importTemplate()
 */
export async function importVersion(
  store: Store,
  name: string,
  source: string,
  options: ImportOptions,
  needs: string | null = null,
): Promise<TemplateImported> {
  const hint = 'See "What envs need" in docs/reference/building.md.';
  const config = needs === null ? '' : needsText(parseNeeds(readGivenFile(needs, hint), needs));
  const { template, version } = await importTemplate(store, name, source, { ...options, config });
  const { dateMs, ...rest } = version;
  const date = new Date(dateMs).toISOString();
  return { template: template.name, kind: template.kind, version: { ...rest, date } };
}
