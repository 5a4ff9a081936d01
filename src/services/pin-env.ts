/** `byref pin` and `byref follow`: one env stays at a version of a template, or goes with the others. */
import { ByrefError } from '../base/error.ts';
import type { PatchRecord } from '../codec/patch-record.ts';
import { checkDependencyPolicies } from '../manager/rollout/dependency-policy.ts';
import { entryOf } from '../manager/rollout/followers.ts';
import { takePatchLock } from '../manager/rollout/lock.ts';
import { nextStacks } from '../manager/rollout/moves.ts';
import { prepareStacks } from '../manager/rollout/prepare-stacks.ts';
import { PatchRun } from '../manager/rollout/run.ts';
import { needTemplate, needVersion } from '../manager/rollout/target.ts';
import type { TemplateRef } from '../store/names.ts';
import type { EnvRow, Store, TemplateRow } from '../store/store.ts';
import type { AppOptions } from './change-apps.ts';

/**
 * Keeps an env at a version of a template. Returns null if it was so already.
 * @param ref without a version, it is the one that the env sees now
 * @throws ByrefError 'notFound' for an env without the template, or a version that does not exist; 'locked', 'badInput'
 */
export async function pinEnv(
  store: Store,
  row: EnvRow,
  { name, version }: TemplateRef,
  options: AppOptions = {},
): Promise<PatchRecord | null> {
  const template = needTemplate(store, name);
  const seen = store.resolveStack(row).find(({ templateId }) => templateId === template.id);
  const at = version ?? seen?.version;
  if (at === undefined) throw lacksTemplate(row, template);
  return moveOne(store, row, template, at, options);
}

/** Lets an env see the current version of a template, now and from now on. Returns null if it did already. @throws as pinEnv() */
export function followTemplate(
  store: Store,
  row: EnvRow,
  name: string,
  options: AppOptions = {},
): Promise<PatchRecord | null> {
  return moveOne(store, row, needTemplate(store, name), null, options);
}

function lacksTemplate({ name }: EnvRow, template: TemplateRow): ByrefError {
  const message = `${name} has no template ${template.name}`;
  return new ByrefError('notFound', message, `See byref info ${name}.`);
}

/** Moves one env. @param version to stay at, or null: to follow the template's current one */
async function moveOne(
  store: Store,
  row: EnvRow,
  template: TemplateRow,
  version: number | null,
  { signal, policies = [], ...waits }: AppOptions,
): Promise<PatchRecord | null> {
  checkDependencyPolicies(store, policies);
  const entry = entryOf(row, template.id);
  if (entry === undefined) throw lacksTemplate(row, template);
  if (entry.pinned === version && entry.canary === null) return null;
  const kind = version === null ? 'follow' : 'pin';
  const lock = await takePatchLock(store, template);
  try {
    // Another patch may have ended before the lock was free.
    const { current } = needTemplate(store, template.name);
    const to = version === null ? current : needVersion(store, template, version).number;
    const next = nextStacks(store, [store.needEnv(row.id)], template.id, to);
    await prepareStacks(store, next, { signal, shared: true });
    // The env may have got or lost apps meanwhile.
    const now = store.needEnv(row.id);
    const stack = store.plainStack(now);
    const from = stack.find(({ templateId }) => templateId === template.id)?.version ?? to;
    const run = PatchRun.begin(store, lock, template, to, {
      kind,
      from,
      policies,
      note: '',
      ...waits,
    });
    return await run.moveOne(now, { pinned: version, canary: null });
  } catch (error) {
    lock.release();
    throw error;
  }
}
