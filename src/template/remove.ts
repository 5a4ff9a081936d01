/** `byref template show` and `rm`: who uses a template, and taking one away. */
import { ByrefError } from '../base/error.ts';
import type { EnvRow, TemplateRow, VersionRow } from '../codec/store-rows.ts';
import { parseTemplateRef } from '../store/names.ts';
import type { Store } from '../store/store.ts';
import { removeLinkRows } from '../store/version-rows.ts';

export interface TemplateUse {
  readonly env: string;
  /** The version that the env names, or null: it follows the current one. */
  readonly pinned: number | null;
}

export interface TemplateInfo {
  readonly template: TemplateRow;
  /** Oldest first. */
  readonly versions: readonly VersionRow[];
  readonly uses: readonly TemplateUse[];
}

/** @throws ByrefError 'notFound' */
export function showTemplate(store: Store, name: string): TemplateInfo {
  const { template } = store.catalog.resolve(name);
  const uses = store.envs().flatMap((env) => usesOf(env, template.id));
  return { template, versions: store.versions(template.id), uses };
}

function usesOf(env: EnvRow, templateId: number): TemplateUse[] {
  return env.stack
    .filter((entry) => entry.templateId === templateId)
    .map(({ pinned }) => ({ env: env.name, pinned }));
}

/**
 * Removes a template with all its versions, and the objects that no other one has.
 * @returns what was freed: objects, and bytes of content
 * @throws ByrefError 'busy' while an env has it in its stack, 'notFound', 'usage' for one version only
 */
export function removeTemplate(store: Store, ref: string): { objects: number; bytes: number } {
  if (parseTemplateRef(ref).version !== null) {
    const message = `${ref} is one version, and versions are removed with their template`;
    throw new ByrefError('usage', message, 'Name the template alone to remove all of it.');
  }
  const { template, uses } = showTemplate(store, ref);
  if (uses.length > 0) {
    const envs = uses.map(({ env }) => env).join(', ');
    const message = `template ${template.name} is in use by ${envs}`;
    throw new ByrefError('busy', message, 'Destroy those envs first.');
  }
  const freed = store.tables.transaction(() => removeRows(store, template));
  store.objects.sweepUnfinished();
  return freed;
}

function removeRows(store: Store, template: TemplateRow): { objects: number; bytes: number } {
  const references = removeLinkRows(store.tables, template.id);
  const { objects } = store;
  const last = [...references].filter(([id, count]) => objects.row(id)?.refs === count);
  const bytes = last.reduce((sum, [id]) => sum + (objects.row(id)?.size ?? 0), 0);
  // Listed before the commit, removed after it: a kill in between leaves no file without a row.
  objects.writeDoubtful(last.map(([id]) => id));
  for (const [id, count] of references) objects.addRefs(id, -count);
  store.catalog.remove(template);
  return { objects: last.length, bytes };
}
