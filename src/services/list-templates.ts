/** Lists templates, with what each holds and takes. */
import { packageCount } from '../manager/recipes/build/packages.ts';
import { peoplesEnvs } from '../manager/sandbox/owner.ts';
import { type TemplateSizes, templateSizes } from '../manager/templates/sizes.ts';
import type { Store, TemplateRow } from '../store/store.ts';

/** The properties of a template that are known without reading rows of files. */
export interface TemplateSummary {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  /** The version that envs see which follow it. */
  readonly current: number;
  readonly newest: number;
  readonly versions: number;
  /** Files and bytes of the current version. */
  readonly files: number;
  readonly bytes: number;
  /** How many envs have it in their stack. */
  readonly envs: number;
}

/** A template as it is listed. Functions cost more the more files or packages it has, and are called only for what is shown. */
export interface TemplateEntry extends TemplateSummary {
  /** Returns how many packages are installed in the current version. */
  readonly packages: () => number | null;
  readonly sizes: () => TemplateSizes;
}

/** All of a template. */
export interface TemplateListed extends TemplateSummary, TemplateSizes {
  readonly packages: number | null;
}

/** Lists the templates that people made. The entries can be read while the store is open. */
export function listTemplates(store: Store): TemplateEntry[] {
  const uses = new Map<number, number>();
  for (const { stack } of peoplesEnvs(store)) {
    for (const { templateId } of stack) uses.set(templateId, (uses.get(templateId) ?? 0) + 1);
  }
  return store.templates().map((row) => ({
    ...summaryOf(store, row, uses.get(row.id) ?? 0),
    packages: () => packageCount(store, row, row.current),
    sizes: once(() => templateSizes(store, row.id)),
  }));
}

/** Reads all of an entry. */
export function wholeEntry({ packages, sizes, ...summary }: TemplateEntry): TemplateListed {
  return { ...summary, packages: packages(), ...sizes() };
}

function summaryOf(
  store: Store,
  { id, name, kind, current }: TemplateRow,
  envs: number,
): TemplateSummary {
  const versions = store.versions(id);
  const newest = versions.at(-1)?.number ?? current;
  const { files = 0, bytes = 0 } = versions.find(({ number }) => number === current) ?? {};
  return { id, name, kind, current, newest, versions: versions.length, files, bytes, envs };
}

function once<T>(read: () => T): () => T {
  let known: { readonly value: T } | null = null;
  return () => {
    known ??= { value: read() };
    return known.value;
  };
}
