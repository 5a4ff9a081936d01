/** Takes the envs that follow a template to another version of it, or back: `byref patch` and `byref rollback`. */
import { ByrefError } from '../base/error.ts';
import type { PatchRecord, Policy } from '../codec/patch-record.ts';
import type { BusyWaitOptions } from '../manager/rollout/busy.ts';
import { checkDependencyPolicies } from '../manager/rollout/dependency-policy.ts';
import { followersOf } from '../manager/rollout/followers.ts';
import { takePatchLock } from '../manager/rollout/lock.ts';
import { nextStacks } from '../manager/rollout/moves.ts';
import { prepareStacks } from '../manager/rollout/prepare-stacks.ts';
import {
  checkWaves,
  type Rollout,
  type RolloutEvent,
  rollOut,
} from '../manager/rollout/rollout.ts';
import { PatchRun } from '../manager/rollout/run.ts';
import {
  needTemplate,
  openCanary,
  patchTarget,
  rollbackTarget,
} from '../manager/rollout/target.ts';
import type { Store, TemplateRow } from '../store/store.ts';

/** Options of patchTemplate(). */
export interface PatchOptions extends BusyWaitOptions {
  /** The version to go to; null: the newest staged one. */
  readonly to: number | null;
  readonly policies: readonly Policy[];
  readonly note: string;
  readonly rollout: Rollout;
}

/** The caller's part in a patch. */
export interface PatchHooks {
  /** Is called with each event of the rollout. */
  readonly on?: (event: RolloutEvent) => void;
  /** Ends the patch when it is aborted, and then takes back the waves that went. */
  readonly signal?: AbortSignal;
}

const ALL_AT_ONCE: Rollout = { waves: [], afterwards: 'all', waitMs: 0, health: null };
/** The signal of a caller that does not interrupt. */
const NEVER = new AbortController().signal;

/**
 * Takes the envs that follow a template to another version of it. Returns null if there is nothing to do.
 * @param ref the template's name
 * @throws ByrefError 'locked' while it is being patched, 'busy' while canaries of another version wait for a decision,
 *   'badInput' for a version that does not go together with the envs' other templates
 */
export async function patchTemplate(
  store: Store,
  ref: string,
  options: PatchOptions,
  { on = () => undefined, signal = NEVER }: PatchHooks = {},
): Promise<PatchRecord | null> {
  const { id, name } = needTemplate(store, ref);
  checkDependencyPolicies(store, options.policies);
  const lock = await takePatchLock(store, { id, name });
  try {
    // Another patch may have ended before the lock was free.
    const template = needTemplate(store, name);
    const canary = openCanary(store, template.id);
    const to = options.to ?? canary?.to ?? patchTarget(store, template, null)?.number ?? null;
    const version = to === null ? null : patchTarget(store, template, to);
    if (version === null || version.number === template.current) {
      lock.release();
      return null;
    }
    if (canary !== null && canary.to !== version.number) throw otherCanary(template, canary);
    const { policies, note, rollout, ...waits } = options;
    const rows = followersOf(store, template.id);
    const next = nextStacks(store, rows, template.id, version.number);
    const notes = await prepareStacks(store, next, { signal, shared: true });
    for (const text of notes) on({ what: 'note', text });
    // The version may have been removed meanwhile.
    patchTarget(store, template, version.number);
    await checkWaves(store, template.id, rollout);
    const run =
      canary === null
        ? PatchRun.begin(store, lock, template, version.number, {
            kind: 'patch',
            policies,
            note,
            ...waits,
          })
        : PatchRun.resume(store, lock, goneOn(canary, policies, note), waits);
    return await orAbandon(run, () => rollOut(store, run, rollout, on, signal));
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Options of rollBack(). */
export interface RollbackOptions extends BusyWaitOptions {
  /** Policies about dependencies. */
  readonly policies?: readonly Policy[];
  /** The version to go to; null: the one that was current before. */
  readonly to: number | null;
  readonly note: string;
}

/**
 * Takes the envs that follow a template back to an older version. While canaries wait for a decision, it takes only those
 * back. Returns null if there is nothing to go back to.
 * @throws ByrefError as patchTemplate
 */
export async function rollBack(
  store: Store,
  ref: string,
  { to, note, policies = [], ...waits }: RollbackOptions,
  { signal = NEVER }: Pick<PatchHooks, 'signal'> = {},
): Promise<PatchRecord | null> {
  const { id, name } = needTemplate(store, ref);
  checkDependencyPolicies(store, policies);
  const lock = await takePatchLock(store, { id, name });
  try {
    // Another patch may have ended before the lock was free.
    const template = needTemplate(store, name);
    const canary = openCanary(store, template.id);
    if (canary !== null && (to === null || to === template.current)) {
      return await PatchRun.resume(store, lock, goneOn(canary, policies, note), waits).undo(
        note || 'taken back by a command',
      );
    }
    if (canary !== null) throw otherCanary(template, canary);
    const version = rollbackTarget(store, template, to);
    if (version === null || version.number === template.current) {
      lock.release();
      return null;
    }
    const rows = followersOf(store, template.id);
    const next = nextStacks(store, rows, template.id, version.number);
    await prepareStacks(store, next, { signal, shared: true });
    rollbackTarget(store, template, version.number);
    const options = { kind: 'rollback', policies, note, ...waits } as const;
    const run = PatchRun.begin(store, lock, template, version.number, options);
    return await orAbandon(run, () => rollOut(store, run, ALL_AT_ONCE, () => undefined, signal));
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Runs the rollout. If it fails before the current version has moved, takes all envs back; after that, the next command
 * goes on.
 */
async function orAbandon(run: PatchRun, work: () => Promise<PatchRecord>): Promise<PatchRecord> {
  try {
    return await work();
  } catch (error) {
    const { state } = run.record;
    // If taking back fails too, it is for the same reason; the next command tries again.
    if (state === 'rolling') await run.undo((error as Error).message).catch(() => undefined);
    throw error;
  }
}

/** Returns the record of canaries with what a further command adds. */
const goneOn = (record: PatchRecord, policies: readonly Policy[], note: string): PatchRecord => ({
  ...record,
  policies: [...record.policies, ...policies],
  note: note || record.note,
});

function otherCanary({ name }: TemplateRow, { id, to }: PatchRecord): ByrefError {
  const message = `patch ${id} has canaries of ${name}@${to}, and waits for a decision`;
  const hint = `Go on with: byref patch ${name}. Or take them back with: byref rollback ${name}`;
  return new ByrefError('busy', message, hint);
}
