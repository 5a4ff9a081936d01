/** Determines why a version of a template must stay. */
import { ByrefError } from '../../../base/error.ts';
import type { Ino } from '../../../base/ids.ts';
import { envMounts } from '../../../ipc/mount-table.ts';
import type { HeldVersions } from '../../../ipc/protocol.ts';
import type { Store, TemplateRow } from '../../../store/store.ts';
import { findDriver } from '../../envs/spawn.ts';
import { pastVersions } from '../../rollout/target.ts';
import { userName } from '../../sandbox/owner.ts';

/** Reasons in order of weight. Only the last two can be overruled, by naming the version. */
export type Reason =
  | 'current'
  | 'pinned'
  | 'canary'
  | 'shown'
  | 'in-use'
  | 'unknown-use'
  | 'base'
  | 'staged'
  | 'past';

/** The reasons that can be overruled. */
export const OVERRULABLE: ReadonlySet<Reason> = new Set(['staged', 'past']);

/** A version that stays, and why. */
export interface KeptVersion {
  readonly version: number;
  readonly reason: Reason;
  /** The names of the envs that are the reason, for people; '' if that says nothing. */
  readonly by: string;
}

/** The versions that drivers serve and hold, and the envs that are mounted without a driver. */
export interface LiveUse {
  readonly held: readonly HeldVersions[];
  readonly dead: ReadonlySet<number>;
}

/** Asks all drivers. @throws ByrefError 'locked' if one does not report what it holds: then nothing may be removed */
export async function liveUse(store: Store): Promise<LiveUse> {
  const held: HeldVersions[] = [];
  for (let shard = 0; shard < store.shards; shard++) {
    const driver = await findDriver(store.root, shard);
    if (driver === null) continue;
    try {
      held.push(await driver.call('held', null));
    } catch (cause) {
      const message = `the driver of shard ${shard} does not say what it has in use`;
      const hint = 'See its log in the run directory, then run this again.';
      throw new ByrefError('locked', message, hint, { cause });
    } finally {
      driver.close();
    }
  }
  const served = new Set(held.flatMap(({ stacks }) => stacks.map(({ env }) => env)));
  const dead = [...envMounts(store.root).keys()].filter((env) => !served.has(env));
  return { held, dead: new Set(dead) };
}

/**
 * Returns every version of the template that must stay, with the weightiest reason.
 * @param past how many versions to keep to go back to
 * @param goes tells which versions of other templates are removed, too
 */
export function keptVersions(
  store: Store,
  template: TemplateRow,
  live: LiveUse,
  past: number,
  goes: (templateId: number, version: number) => boolean = () => false,
): Map<number, KeptVersion> {
  const kept = new Map<number, KeptVersion>();
  const keep = (version: number, reason: Reason, by = ''): void => {
    if (!kept.has(version)) kept.set(version, { version, reason, by });
  };
  keep(template.current, 'current');
  for (const row of store.envs()) {
    for (const { templateId, pinned, canary } of row.stack) {
      if (templateId !== template.id) continue;
      if (pinned !== null) keep(pinned, 'pinned', userName(store, row.name));
      else if (canary !== null) keep(canary.version, 'canary', row.name);
      // It is unknown what a mount without a driver has open.
      if (live.dead.has(row.id)) keepAll(store, template, keep, row.name);
    }
  }
  keepHeld(store, template, live, keep);
  for (const { app, appVersion, version } of basedOn(store, template.id)) {
    if (!goes(appVersion.templateId, appVersion.version)) keep(version, 'base', app);
  }
  for (const { number, staged } of store.versions(template.id)) {
    if (staged) keep(number, 'staged');
  }
  const way = pastVersions(store, template);
  for (const version of past > 0 ? way.slice(-past) : []) keep(version, 'past');
  return kept;
}

/**
 * Yields versions of apps that were installed on a version of the template: what they share with it is merged
 * against that version.
 */
export function* basedOn(
  store: Store,
  templateId: number,
): Generator<{
  app: string;
  appVersion: { readonly templateId: number; readonly version: number };
  version: number;
}> {
  for (const { id, name } of store.templates()) {
    for (const { number, base } of store.versions(id)) {
      if (base?.templateId === templateId) {
        const appVersion = { templateId: id, version: number };
        yield { app: `${name}@${number}`, appVersion, version: base.version };
      }
    }
  }
}

type Keep = (version: number, reason: Reason, by?: string) => void;

function keepAll(store: Store, template: TemplateRow, keep: Keep, by: string): void {
  for (const { number } of store.versions(template.id)) keep(number, 'unknown-use', by);
}

function keepHeld(store: Store, template: TemplateRow, { held }: LiveUse, keep: Keep): void {
  const nameOf = (env: number): string => userName(store, store.env(env)?.name ?? String(env));
  for (const { stacks, gone } of held) {
    for (const { env, stack } of stacks) {
      for (const ref of stack) {
        if (ref.templateId === template.id) keep(ref.version, 'shown', nameOf(env));
      }
    }
    for (const { env, ino, stack } of gone) {
      for (const version of versionsOf(store, template.id, ino as Ino, stack)) {
        keep(version, 'in-use', nameOf(env));
      }
    }
  }
}

/**
 * Returns the versions to which a file or directory in use belongs: those that have the file; for a directory,
 * those in which it was seen.
 */
function versionsOf(
  store: Store,
  templateId: number,
  ino: Ino,
  stack: readonly { readonly templateId: number; readonly version: number }[],
): number[] {
  const origin = store.fileOrigin(ino);
  const seen = stack.flatMap((ref) => (ref.templateId === templateId ? [ref.version] : []));
  if (origin === null) return seen;
  if (origin.templateId !== templateId) return [];
  // The version in which it appeared has its row; any other version may be removed.
  return origin.versions === null ? seen : [...seen, origin.versions.since];
}
