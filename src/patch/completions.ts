/** Tries in envs what apt can bring along there, and has it done once they are at their new versions. */
import type { PatchedEnv, Policy } from '../codec/patch-record.ts';
import { envStates } from '../env/state.ts';
import { decideStep } from '../packages/decide-step.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { type Completion, complete, type Trial, tryCompletion } from './complete.ts';
import { dependencyPolicyOf } from './dependency-policy.ts';
import { openView } from './meets.ts';
import { type EnvMove, movesTo } from './moves.ts';
import { takenPackages } from './package-policy.ts';
import type { NextStack } from './ready-stacks.ts';

const AT_ONCE = 4;

export class Completions {
  private readonly store: Store;
  private readonly trials = new Map<number, Trial>();

  constructor(store: Store) {
    this.store = store;
  }

  /** What came of trying it in an env; null: it was not tried. */
  of(env: number): Trial | null {
    return this.trials.get(env) ?? null;
  }

  /**
   * Tries it in those of the envs for which the policy is `complete`, and whose packages would not fit. Others may write meanwhile: who
   * calls it reads again what may have changed.
   */
  async tryIn(next: readonly NextStack[], policies: readonly Policy[]): Promise<void> {
    const wanted = next.filter(({ row }) => dependencyPolicyOf(policies, row) === 'complete');
    if (wanted.length === 0) return;
    const tried = new Map<number, Completion>();
    for (const move of movesTo(this.store, wanted)) {
      const completion = await this.needed(move, policies);
      if (completion !== null) tried.set(move.row.id, completion);
    }
    if (tried.size === 0) return;
    const mounted = await this.mountpoints(wanted.map(({ row }) => row));
    await this.store.pause(() =>
      inTurns([...tried], async ([env, completion]) => {
        const at = mounted.get(env);
        const why = 'it is not mounted';
        this.trials.set(env, at === undefined ? { why } : await tryCompletion(at, completion));
      }),
    );
  }

  /** Does what was tried in the envs of a record. Null if there was nothing to do. */
  async make(envs: readonly PatchedEnv[]): Promise<PatchedEnv[] | null> {
    const due = envs.filter(isDue);
    if (due.length === 0) return null;
    const mounted = await this.mountpoints(due.flatMap(({ id }) => this.store.env(id) ?? []));
    const whys = new Map<number, string | null>();
    await this.store.pause(() =>
      inTurns(due, async ({ id }) => {
        const at = mounted.get(id);
        whys.set(id, at === undefined ? 'it is not mounted' : await complete(at));
      }),
    );
    return envs.map((env) => {
      const why = whys.get(env.id);
      if (why === undefined || env.completion === undefined) return env;
      const completion = { ...env.completion, done: true, ...(why === null ? {} : { why }) };
      return { ...env, completion, unmet: why === null ? [] : (env.unmet ?? []) };
    });
  }

  /** What apt would have to solve; null: all will fit. */
  private async needed(
    { row, change }: EnvMove,
    policies: readonly Policy[],
  ): Promise<Completion | null> {
    const { store } = this;
    const view = await openView(store, row);
    if (view === null) return null;
    try {
      const next = { taken: takenPackages(policies) };
      const verdict = await decideStep({ store, row, view, change }, next, 'follow');
      if (verdict === null || verdict.unmet.length === 0) return null;
      return { after: verdict.after, ofTemplates: verdict.following };
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

/** An env that went; one in which dpkg is at work goes later. */
const isDue = ({ completion, outcome }: PatchedEnv): boolean =>
  completion?.done === false && outcome !== 'busy';

async function inTurns<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const worker = async (): Promise<void> => {
    for (let each = left.shift(); each !== undefined; each = left.shift()) await work(each);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
