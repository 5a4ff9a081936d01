/** `byref pin` and `byref follow`: one env stays at a version of a template, or goes with the others. */
import { ByrefError } from '../../base/error.ts';
import type { PatchRecord } from '../../codec/patch-record.ts';
import type { EnvRow, Store, TemplateRow } from '../../store/store.ts';
import type { AppOptions } from './apps.ts';
import { checkDependencyPolicies } from './dependency-policy.ts';
import { entryOf } from './followers.ts';
import { takePatchLock } from './lock.ts';
import { nextStacks } from './moves.ts';
import { prepareStacks } from './prepare-stacks.ts';
import { PatchRun } from './run.ts';
import { needTemplate, needVersion } from './target.ts';

/**
 * Pins one env to a version of a template, or has it follow the template again.
 * @param version to stay at, or null: to follow the template's current one
 * @returns null if the env was so already
 * @throws ByrefError 'notFound' for an env without the template, or a version that does not exist; 'locked', 'badInput'
 */
export async function pinEnv(
  store: Store,
  row: EnvRow,
  template: TemplateRow,
  version: number | null,
  { signal, policies = [], ...waits }: AppOptions = {},
): Promise<PatchRecord | null> {
  checkDependencyPolicies(store, policies);
  const entry = entryOf(row, template.id);
  if (entry === undefined) {
    const message = `${row.name} has no template ${template.name}`;
    throw new ByrefError('notFound', message, `See byref info ${row.name}.`);
  }
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
