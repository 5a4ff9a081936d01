/**
 * Carries out the policy `complete` once the envs of a patch are at its versions: brings their own packages along. What
 * those packages need of the templates was kept in each env until then, so no env waits for apt in another one.
 *
 * Each env goes through three steps, and each is recorded before the next: apt is tried; what was kept follows; apt
 * installs what it found. If the process dies in between, the next command does the rest.
 */
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import type { CompletedPackages, PatchedEnv, Policy } from '../../codec/patch-record.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { envStates } from '../envs/state.ts';
import { decideStep } from '../packages/decide-step.ts';
import { type Completion, complete, type Trial, tryCompletion } from './complete.ts';
import { openView } from './meets.ts';
import { takenPackages } from './package-policy.ts';
import { releasePackages } from './release.ts';

const AT_ONCE = 4;

/** Saves what is known of an env by now in the patch's record. */
export type SaveEnv = (env: PatchedEnv) => void;

type Due = PatchedEnv & { readonly completion: CompletedPackages };

/** The completions that one patch still has to make. */
export class Completions {
  private readonly store: Store;
  private readonly policies: readonly Policy[];
  private readonly save: SaveEnv;

  constructor(store: Store, policies: readonly Policy[], save: SaveEnv) {
    this.store = store;
    this.policies = policies;
    this.save = save;
  }

  /**
   * Completes those of the envs for which it is due. The store is open for writing; others may write while apt runs.
   */
  async make(envs: readonly PatchedEnv[]): Promise<void> {
    const due = envs.filter(isDue);
    if (due.length === 0) return;
    const mounted = await this.mountpoints(due.flatMap(({ id }) => this.store.env(id) ?? []));
    const tried = await this.tryIn(due, mounted);
    const released: Due[] = [];
    for (const env of tried) {
      const next = await this.release(env);
      if (next !== null) released.push(next);
    }
    // The record is the store's: it is written once this process holds the writer's lock again.
    const whys = await this.store.pause(() =>
      inTurns(released, ({ id, completion }) =>
        complete(mounted.get(id)!, completion.wanted ?? []),
      ),
    );
    for (const [i, env] of released.entries()) {
      const why = whys[i] ?? null;
      const completion = { ...env.completion, done: true, ...(why === null ? {} : { why }) };
      this.save({ ...env, completion, unmet: why === null ? [] : (env.unmet ?? []) });
    }
  }

  /** @returns the envs in which apt can do it; for each of the others the reason is saved */
  private async tryIn(envs: readonly Due[], mounted: ReadonlyMap<number, string>): Promise<Due[]> {
    const wanted = new Map<number, Completion>();
    for (const env of envs) {
      const needed = mounted.has(env.id) ? await this.needed(env) : null;
      if (needed !== null) wanted.set(env.id, needed);
    }
    const trials = await this.store.pause(() =>
      inTurns(envs, async ({ id, completion: { packages } }): Promise<Trial> => {
        // An earlier command tried it already, and died before the next step.
        if (packages.length > 0 && mounted.has(id)) return { packages };
        return tryAt(mounted.get(id), wanted.get(id));
      }),
    );
    const can: Due[] = [];
    for (const [i, env] of envs.entries()) {
      const trial = trials[i]!;
      const isPossible = 'packages' in trial;
      const completion = { ...env.completion, ...trial, done: !isPossible };
      const next = { ...env, completion };
      this.save(next);
      failpoint('patch-tried');
      if (isPossible) can.push(next);
    }
    return can;
  }

  /**
   * Lets the packages follow that were kept for the env's own ones.
   * @returns null if a further command has to do it, or if it can't be done
   */
  private async release(env: Due): Promise<Due | null> {
    const row = this.store.env(env.id);
    if (row === null) return null;
    const trial: Trial = { packages: env.completion.packages };
    try {
      const { own, unmet } = await releasePackages(this.store, row, {
        policies: this.policies,
        trial,
      });
      const next = { ...env, packages: own, unmet };
      this.save(next);
      failpoint('patch-released');
      return next;
    } catch (error) {
      if (!(error instanceof ByrefError)) throw error;
      // The next command does it, when dpkg has finished.
      if (error.code === 'busy') return null;
      const completion = { ...env.completion, why: error.message, done: true };
      this.save({ ...env, completion });
      return null;
    }
  }

  /** Returns what apt would have to solve; null if everything fits already. */
  private async needed({ id, completion }: Due): Promise<Completion | null> {
    const { store } = this;
    const row = store.env(id);
    const view = row === null ? null : await openView(store, row);
    if (row === null || view === null) return null;
    try {
      const stack = store.resolveStack(row);
      const change = store.diffStacks(stack, stack);
      const next = { taken: takenPackages(this.policies) };
      const verdict = await decideStep({ store, row, view, change }, next, 'follow');
      if (verdict === null || verdict.unmet.length === 0) return null;
      const { after, following } = verdict;
      return { after, ofTemplates: following, wanted: completion.wanted ?? [] };
    } finally {
      await view.close();
    }
  }

  private async mountpoints(rows: readonly EnvRow[]): Promise<Map<number, string>> {
    const states = await envStates(this.store, rows);
    return new Map(
      states.flatMap(({ row, state, mount }) =>
        state === 'mounted' && mount !== null ? [[row.id, mount.mountpoint] as const] : [],
      ),
    );
  }
}

/** True for an env that has moved and is not completed. An env in which dpkg is at work goes later. */
const isDue = (env: PatchedEnv): env is Due =>
  env.completion?.done === false && env.outcome !== 'busy';

async function tryAt(at: string | undefined, needed: Completion | undefined): Promise<Trial> {
  if (at === undefined) return { why: 'it is not mounted' };
  if (needed === undefined) return { packages: [] };
  return tryCompletion(at, needed);
}

/** Does the work for a few at a time. @returns the results in the order of `all` */
async function inTurns<T, R>(all: readonly T[], work: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = [...all.entries()];
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [i, each] = next;
      results[i] = await work(each);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
