/** Collects what there is to say about one template: its versions, and the envs that use it. */
import type { EnvRow, TemplateRow, VersionRow } from '../codec/store-rows.ts';
import type { Needs } from '../manager/recipes/build/needs.ts';
import { packageCount } from '../manager/recipes/build/packages.ts';
import { userName } from '../manager/sandbox/owner.ts';
import { type TemplateSizes, templateSizes } from '../manager/templates/sizes.ts';
import { isScratch } from '../store/names.ts';
import type { Store } from '../store/store.ts';
import { needsOfTemplate } from './template-needs.ts';

/** How one env uses a template. */
export interface TemplateUse {
  /** Its name; of a snapshot ENV@NAME. */
  readonly env: string;
  /** The version that the env is pinned to; null: it follows the current one. */
  readonly pinned: number | null;
  /** The version that it tries out, if it follows and is a canary; else null. */
  readonly canary: number | null;
  /** The version that it sees. */
  readonly version: number;
}

/** A template, its versions, and the envs that use it, throw-away ones too. */
export interface TemplateInfo {
  readonly template: TemplateRow;
  /** Oldest first. */
  readonly versions: readonly VersionRow[];
  readonly uses: readonly TemplateUse[];
}

/** All that `byref template show` shows. */
export interface TemplateDetails extends TemplateRow, TemplateSizes {
  /** Names of the envs that have it in their stack. */
  readonly envs: readonly string[];
  /** The same envs, with the version that each sees. */
  readonly users: readonly TemplateUse[];
  /** What envs of its current version need. */
  readonly needs: Needs;
  /** Oldest first. */
  readonly versions: readonly VersionDetails[];
}

/** One version of a template. */
export interface VersionDetails extends Omit<VersionRow, 'dateMs' | 'base'> {
  /** When it was added. ISO 8601, UTC. */
  readonly date: string;
  /** The version of an OS template that an app was installed on, as NAME@VERSION. */
  readonly base: string | null;
  /**
   * A SHA-256 of all that the version shows, in hex: equal on every machine that has the same tree. Null for one that an older byref
   * added, unless it is the current one: to compute it is to read all of it.
   */
  readonly identity: string | null;
  /** How many packages are installed in it. */
  readonly packages: number | null;
}

/** Finds a template with its versions and users. @throws ByrefError 'notFound' */
export function showTemplate(store: Store, name: string): TemplateInfo {
  const { template } = store.catalog.resolve(name);
  const uses = store.envs().flatMap((env) => usesOf(store, env, template));
  return { template, versions: store.versions(template.id), uses };
}

/** Collects what `byref template show` shows, without throw-away envs. @throws ByrefError 'notFound' */
export function templateDetails(store: Store, name: string): TemplateDetails {
  const { template, versions, uses: all } = showTemplate(store, name);
  const uses = all.filter(({ env }) => !isScratch(env));
  return {
    ...template,
    newest: versions.at(-1)?.number ?? template.current,
    ...templateSizes(store, template.id),
    envs: uses.map(({ env }) => env),
    users: uses,
    needs: needsOfTemplate(store, template),
    versions: versions.map(({ dateMs, base, ...version }) => ({
      ...version,
      date: new Date(dateMs).toISOString(),
      base: base && store.catalog.refName(base),
      identity: identityIn(store, template, version.number),
      packages: packageCount(store, template, version.number),
    })),
  };
}

function identityIn(store: Store, { id, current }: TemplateRow, version: number): string | null {
  const ref = { templateId: id, version };
  return version === current ? store.identity(ref) : store.notedIdentity(ref);
}

/** A throw-away env is left out by its name. */
const nameOf = (store: Store, { name }: EnvRow): string =>
  isScratch(name) ? name : userName(store, name);

function usesOf(store: Store, env: EnvRow, { id, current }: TemplateRow): TemplateUse[] {
  return env.stack
    .filter(({ templateId }) => templateId === id)
    .map((entry) => {
      const { pinned } = entry;
      const canary = pinned === null ? (entry.canary?.version ?? null) : null;
      return { env: nameOf(store, env), pinned, canary, version: pinned ?? canary ?? current };
    });
}
