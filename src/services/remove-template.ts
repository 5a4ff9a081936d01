/** Removes templates, and versions of them: `byref template rm`. */
import { ByrefError } from '../base/error.ts';
import { userName } from '../manager/sandbox/owner.ts';
import { objectsOfEnvs } from '../manager/upkeep/gc/env-objects.ts';
import {
  basedOn,
  keptVersions,
  liveUse,
  OVERRULABLE,
  type Reason,
} from '../manager/upkeep/gc/reasons.ts';
import {
  type Freed,
  removeTemplateRows,
  removeVersions,
  sweepObjects,
} from '../manager/upkeep/gc/remove-version.ts';
import { takeStoppedAlong } from '../manager/upkeep/gc/take-along.ts';
import { composedOf } from '../store/compositions.ts';
import type { Store } from '../store/store.ts';
import { showTemplate } from './show-template.ts';

/** The outcome of removeTemplate() and removeVersion(). */
export interface TemplateRemoved {
  /** NAME or NAME@VERSION. */
  readonly template: string;
  readonly freedObjects: number;
  readonly freedBytes: number;
}

/** Returns what was removed, and what that freed. @param template NAME or NAME@VERSION */
export const removedResult = (template: string, { objects, bytes }: Freed): TemplateRemoved => ({
  template,
  freedObjects: objects,
  freedBytes: bytes,
});

/**
 * Removes a template with all its versions, and the objects that neither another template nor an env has.
 * @returns what was freed: objects, and bytes of content
 * @throws ByrefError 'busy' while an env has it in its stack, or an app was installed on it; 'notFound'
 */
export async function removeTemplate(store: Store, name: string): Promise<Freed> {
  const { template, uses } = showTemplate(store, name);
  if (uses.length > 0) {
    const envs = uses.map(({ env }) => userName(store, env)).join(', ');
    const message = `template ${template.name} is in use by ${envs}`;
    throw new ByrefError(
      'busy',
      message,
      'Destroy those envs, or remove those snapshots (ENV@SNAPSHOT), first; builds end by themselves.',
    );
  }
  const apps = [...new Set([...basedOn(store, template.id)].map(({ app }) => app))];
  if (apps.length > 0) {
    const message = `template ${template.name} is what ${apps.join(', ')} was installed on`;
    throw new ByrefError('busy', message, 'Remove those first.');
  }
  const compositions = store.catalog
    .compositions()
    .filter((row) => composedOf(row).some(({ templateId }) => templateId === template.id));
  store.transaction(() => {
    for (const row of [...compositions, template]) removeTemplateRows(store, row);
  });
  return sweepObjects(store, await objectsOfEnvs(store, new Set(store.objects.unnamed())));
}

/** How many past versions a rollback may still want, when one version is removed by its number. */
const PAST_KEPT = 1;

/**
 * Removes one version, and the objects that only it had.
 * @param force removes it even if it is staged, or if a rollback would go back to it
 * @throws ByrefError 'busy' with the reason why it must stay, 'notFound'
 */
export async function removeVersion(
  store: Store,
  name: string,
  number: number,
  force: boolean,
): Promise<Freed> {
  const { template } = store.catalog.resolve(`${name}@${number}`);
  const kept = keptVersions(store, template, await liveUse(store), PAST_KEPT).get(number);
  if (kept !== undefined && !(force && OVERRULABLE.has(kept.reason))) {
    throw new ByrefError(
      'busy',
      `${name}@${number} ${WHY[kept.reason](kept.by)}`,
      HINT[kept.reason],
    );
  }
  await takeStoppedAlong(store);
  removeVersions(store, [{ templateId: template.id, version: number }]);
  return sweepObjects(store, await objectsOfEnvs(store, new Set(store.objects.unnamed())));
}

const WHY: Readonly<Record<Reason, (by: string) => string>> = {
  current: () => 'is the current version',
  pinned: (by) => `is what ${by} is pinned to`,
  canary: (by) => `is being tried out by ${by}`,
  shown: (by) => `is what ${by} sees`,
  'in-use': (by) => `has files that programs in ${by} still use`,
  base: (by) => `is what ${by} was installed on`,
  'unknown-use': (by) => `may be in use by ${by}, which is mounted without a driver`,
  staged: () => 'is staged',
  past: () => 'is what a rollback would go back to',
};

const OVERRULE = 'If you mean it, add --force.';
const HINT: Readonly<Record<Reason, string>> = {
  current: 'Go to another version first: byref patch, or byref rollback.',
  pinned: 'Let that env follow first: byref follow.',
  canary: 'Decide about the canaries first: byref patch, or byref rollback.',
  shown: 'Run byref patch or byref rollback again, or unmount that env.',
  'in-use': 'See byref stale for what to restart.',
  'unknown-use': 'Unmount that env first.',
  base: 'Remove that version of the app first; byref template update builds another one.',
  staged: OVERRULE,
  past: OVERRULE,
};
