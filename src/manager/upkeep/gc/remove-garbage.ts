/** Removes versions that can't be needed any longer, and all that nothing refers to: `byref gc`. */

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { failpoint } from '../../../base/failpoints.ts';
import { patchOfFile } from '../../../codec/patch-record.ts';
import { removeDelta } from '../../../driver/delta/remove-delta.ts';
import { composedOf } from '../../../store/compositions.ts';
import { isStoring, tryRemoving } from '../../../store/object-lock.ts';
import { envOfEntry, envsDir, type Store, type TemplateRow } from '../../../store/store.ts';
import { objectsOfEnvs } from './env-objects.ts';
import { type KeptVersion, keptVersions, type LiveUse, liveUse } from './reasons.ts';
import {
  removeVersions,
  sizesOf,
  sweepObjects,
  type VersionRef,
  wouldFree,
} from './remove-version.ts';
import { strayObjects } from './stray-objects.ts';
import { takeStoppedAlong } from './take-along.ts';

/** The limits of a run. */
export interface GcOptions {
  /** Change nothing. */
  readonly dryRun: boolean;
  /** How many versions to keep per template to go back to. */
  readonly keep: number;
}

/** What a run does one after the other: it looks at everything, then it removes versions, objects, and stray files. */
export type GcPhase = 'look' | 'versions' | 'objects' | 'leftovers';

/** The caller's part in a run. */
export interface GcHooks {
  /** Is called at the beginning of each phase. */
  readonly on?: (phase: GcPhase) => void;
  /** Ends the run before the next phase when it is aborted: what was done stays done. */
  readonly signal?: AbortSignal;
}

/** The outcome of a run. */
export interface GcReport {
  readonly removed: readonly { readonly template: string; readonly version: number }[];
  /** What stays, beside current versions. */
  readonly kept: readonly (KeptVersion & { readonly template: string })[];
  readonly freedObjects: number;
  readonly freedBytes: number;
  /** Others store objects now: freed objects are removed when those have finished. */
  readonly later: boolean;
  /** Objects that no version has, but envs still use. */
  readonly keptObjects: number;
  /** Files and directories that belonged to nothing. */
  readonly leftovers: readonly string[];
}

/**
 * Removes garbage. The store must be open for writing. It can be cut short at any moment: what was done stays
 * done, and the next run does the rest.
 * @throws ByrefError 'locked' if a driver does not report what it uses, 'corrupt' if an env's changes can't be
 *   read, or rows are lost
 */
export async function removeGarbage(
  store: Store,
  { dryRun, keep }: GcOptions,
  { on = () => undefined, signal }: GcHooks = {},
): Promise<GcReport> {
  const begin = (phase: GcPhase): void => {
    signal?.throwIfAborted();
    on(phase);
  };
  begin('look');
  // First of all: only leftovers from before this run count.
  const left = await leftovers(store);
  const { removable, compositions, kept } = await choose(store, keep);
  const names = new Map(store.templates().map(({ id, name }) => [id, name]));
  const removed = removable.map(({ templateId, version }) => ({
    template: names.get(templateId) ?? '?',
    version,
  }));
  if (dryRun) {
    const unnamed = wouldFree(store, removable, compositions);
    const used = await objectsOfEnvs(store, new Set(unnamed));
    const freed = unnamed.filter((id) => !used.has(id));
    return {
      removed,
      kept,
      freedObjects: freed.length,
      freedBytes: sizesOf(store, freed),
      keptObjects: used.size,
      later: false,
      leftovers: left.files,
    };
  }
  begin('versions');
  if (removable.length + compositions.length > 0) {
    await takeStoppedAlong(store);
    removeVersions(store, removable, compositions);
  }
  begin('objects');
  const used = await objectsOfEnvs(store, new Set(store.objects.unnamed()));
  const freed = sweepObjects(store, used);
  begin('leftovers');
  const gone = removeLeftovers(store, left);
  return {
    removed,
    kept,
    freedObjects: freed.objects,
    freedBytes: freed.bytes,
    keptObjects: used.size,
    later: freed.later,
    leftovers: gone,
  };
}

async function choose(
  store: Store,
  keep: number,
): Promise<{
  removable: VersionRef[];
  compositions: TemplateRow[];
  kept: GcReport['kept'];
}> {
  const live = await liveUse(store);
  const removable: VersionRef[] = [];
  const kept: (KeptVersion & { template: string })[] = [];
  // Apps first: a version that only apps were installed on which go now is not needed for them.
  const isApp = ({ kind }: TemplateRow): boolean => kind === 'app';
  const goes = (templateId: number, version: number): boolean =>
    removable.some((ref) => ref.templateId === templateId && ref.version === version);
  const templates = store.templates();
  for (const template of [...templates.filter(isApp), ...templates.filter((row) => !isApp(row))]) {
    const stays = keptVersions(store, template, live, keep, goes);
    for (const { number } of store.versions(template.id)) {
      const reason = stays.get(number);
      if (reason === undefined) removable.push({ templateId: template.id, version: number });
      else if (reason.reason !== 'current') kept.push({ template: template.name, ...reason });
    }
  }
  return { removable, compositions: unusedCompositions(store, live), kept };
}

/**
 * Returns compositions of templates that are no env's stack, in whatever versions: a rollback still finds the
 * compositions it needs.
 */
function unusedCompositions(store: Store, { held }: LiveUse): TemplateRow[] {
  const ids = (stack: readonly { readonly templateId: number }[]): string =>
    stack.map(({ templateId }) => templateId).join(' ');
  const stacks = new Set(store.envs().map(({ stack }) => ids(stack)));
  const inUse = new Set(
    held
      .flatMap((each) => [...each.stacks, ...each.gone])
      .flatMap(({ stack }) => stack.map(({ templateId }) => templateId)),
  );
  return store.catalog
    .compositions()
    .filter((row) => !stacks.has(ids(composedOf(row))) && !inUse.has(row.id));
}

/** Object files without a row, directories of envs without a row, and files of patches that have ended. */
interface Leftovers {
  readonly objects: readonly string[];
  readonly files: readonly string[];
}

async function leftovers(store: Store): Promise<Leftovers> {
  const isBusy = isStoring(store.objects.dir);
  // Objects that are being stored have no rows yet.
  const objects = isBusy ? [] : await strayObjects(store);
  return { objects, files: [...objects, ...strayEnvFiles(store)] };
}

/**
 * Removes them. @returns what was removed: a process that has begun to store objects since may have found one
 * of them
 */
function removeLeftovers(store: Store, { objects, files }: Leftovers): string[] {
  const strays = new Set(objects);
  const lock = objects.length > 0 ? tryRemoving(store.objects.dir) : null;
  const gone = files.filter((file) => lock !== null || !strays.has(file));
  for (const file of gone) {
    removeDelta(file);
    failpoint('leftover-removed');
  }
  lock?.release();
  return gone;
}

function* strayEnvFiles(store: Store): Generator<string> {
  const root = envsDir(store.root);
  const underWay = new Set(store.patches.unfinished().map(({ id }) => id));
  for (const name of readdirSync(root)) {
    const env = envOfEntry(name);
    if (env === null) continue;
    const directory = path.join(root, name);
    if (store.env(env) === null) {
      if (!store.mayBeLost(env)) yield directory;
      continue;
    }
    for (const file of readdirSync(directory)) {
      const patch = patchOfFile(file);
      if (patch !== null && !underWay.has(patch)) yield path.join(directory, file);
    }
  }
}
