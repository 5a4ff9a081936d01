/**
 * Runs one patch or rollback, from its record to its end. Waves of envs go to the version, and the last wave goes by moving
 * the current version itself; or all that went go back.
 *
 * Crash windows. The record says `rolling` from before the first wave until the last: a command that finds it without
 * its process takes the waves back. The transaction that moves the current version makes it `acting`: from then on it is
 * finished, never taken back. Acts in envs are in the record before they are made, and can be made again.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import type {
  EnvOutcome,
  PatchAct,
  PatchedEnv,
  PatchKind,
  PatchRecord,
  PatchState,
  Policy,
} from '../../codec/patch-record.ts';
import type { EnvActs, PrepareRequest } from '../../ipc/protocol.ts';
import { type EnvRow, envDir, type Store, type TemplateRow } from '../../store/store.ts';
import { made, planRestores, toMake } from './acts.ts';
import { author } from './author.ts';
import { BusyWait, type BusyWaitOptions } from './busy.ts';
import { Completions } from './completions.ts';
import { broughtAlong } from './decide-completing.ts';
import { isOfDependencies } from './dependency-policy.ts';
import { type EnvPlan, planEnv } from './env-plan.ts';
import { busyEnvs, type FlipReport, flip, outcomes, refreshAll } from './flip.ts';
import { type EntryChanges, entryOf, followersOf, withEntry } from './followers.ts';
import type { PatchLock } from './lock.ts';
import { makeBefore } from './make-before.ts';
import { type EnvMove, movesTo, nextStacks } from './moves.ts';
import { type NextStack, readyStacks } from './ready-stacks.ts';
import { patchesAbove, undoneBy } from './target.ts';

/** The parts of a new record that the caller of PatchRun.begin() decides, and how long to wait for dpkg. */
export interface RunOptions extends BusyWaitOptions {
  readonly kind: PatchKind;
  /** The version that the envs see now; the template's current version if not given. */
  readonly from?: number;
  readonly policies: readonly Policy[];
  readonly note: string;
}

/** The stacks that envs are to go to, and the message that tells drivers of it before. */
interface Move {
  readonly next: readonly NextStack[];
  readonly prepare: PrepareRequest;
}

/** How often an env is tried again that was mounted or unmounted just when it was to be worked on. */
const ATTEMPTS = 5;

/** One patch that is under way, with its record and its lock. */
export class PatchRun {
  private readonly store: Store;
  private readonly lock: PatchLock;
  private current: PatchRecord;

  private readonly waits: BusyWait;
  private readonly completions: Completions;

  private constructor(store: Store, lock: PatchLock, record: PatchRecord, waits: BusyWait) {
    this.store = store;
    this.lock = lock;
    this.current = record;
    this.waits = waits;
    this.completions = new Completions(store, record.policies, (env) => this.saveEnv(env));
  }

  /** Begins a new record. From now on the run owns the lock. The store is open for writing. */
  static begin(
    store: Store,
    lock: PatchLock,
    template: TemplateRow,
    to: number,
    options: RunOptions,
  ): PatchRun {
    const { kind, policies, note, from = template.current } = options;
    const record = store.tables.transaction(() =>
      store.patches.add({
        kind,
        templateId: template.id,
        template: template.name,
        from,
        to,
        state: 'rolling',
        all: false,
        startedMs: Date.now(),
        endedMs: null,
        by: author(),
        policies,
        envs: [],
        note,
      }),
    );
    failpoint('patch-begun');
    return new PatchRun(store, lock, record, new BusyWait(store, options));
  }

  /** Takes up a record that exists. From now on the run owns the lock. The store is open for writing. */
  static resume(
    store: Store,
    lock: PatchLock,
    record: PatchRecord,
    waits: BusyWaitOptions = {},
  ): PatchRun {
    return new PatchRun(store, lock, record, new BusyWait(store, waits));
  }

  get record(): PatchRecord {
    return this.current;
  }

  /** Takes some envs to the version while the others stay. Passes over envs that no longer follow the template. */
  async advance(envs: readonly number[]): Promise<void> {
    const { templateId, id: patch, to } = this.current;
    const rows = this.followers().filter(({ id }) => envs.includes(id));
    await this.waits.until(rows);
    await this.move(this.toVersion(rows, to), 'rolling', (moved) => {
      for (const row of moved) {
        this.store.putEnv(withEntry(row, templateId, { canary: { version: to, patch } }));
      }
    });
  }

  /**
   * Moves the current version, and with it all envs that follow. Envs in which dpkg is at work stay where they are, and go
   * there when it has finished.
   */
  async complete(): Promise<PatchRecord> {
    const { templateId, to } = this.current;
    const rows = this.followers();
    await this.move(this.toVersion(rows, to), 'acting', (moved) => {
      const { catalog } = this.store;
      const template = catalog.byId(templateId);
      const version = catalog.version(templateId, to);
      if (template === null || version === null)
        throw new Error(`${this.current.template}@${to} is gone`);
      catalog.put({ ...template, current: to });
      catalog.putVersion(templateId, { ...version, staged: false });
      for (const row of moved) {
        if (entryOf(row, templateId)?.canary !== null) {
          this.store.putEnv(withEntry(row, templateId, { canary: null }));
        }
      }
      for (const row of rows) if (!moved.includes(row)) this.store.putEnv(this.late(row));
      this.current = { ...this.current, all: true };
    });
    await this.moveLate();
    return this.endMoved();
  }

  /** Returns the row of an env that stays where it is while the others go. */
  private late(row: EnvRow): EnvRow {
    const { templateId, id: patch, from } = this.current;
    const canary = entryOf(row, templateId)?.canary ?? { version: from, patch };
    return withEntry(row, templateId, { canary: { ...canary, patch } });
  }

  /** Takes the envs there that dpkg held up. Waits for dpkg, but not for ever. */
  private async moveLate(): Promise<void> {
    const { templateId, id, to } = this.current;
    for (;;) {
      const late = this.store.envs().filter((row) => {
        const canary = entryOf(row, templateId)?.canary ?? null;
        return canary?.patch === id && canary.version !== to;
      });
      const free = await this.waits.someFree(late);
      if (free.length === 0) return;
      await this.move(this.toVersion(free, to), 'acting', (moved) => {
        for (const row of moved) this.store.putEnv(withEntry(row, templateId, { canary: null }));
      });
    }
  }

  /** Moves one env by changing its entry for the template; other envs stay where they are. */
  async moveOne(row: EnvRow, entry: EntryChanges): Promise<PatchRecord> {
    const { templateId, to } = this.current;
    const next = this.toVersion([row], to);
    return this.moveAlone(row, next, () => withEntry(row, templateId, entry));
  }

  /** Moves one env to another stack. @param next its row with that stack */
  async moveStack(next: EnvRow): Promise<PatchRecord> {
    const stack = this.store.plainStack(next);
    const stacks = [{ env: next.id, stack }];
    const move = { next: [{ row: next, stack }], prepare: { versions: [], stacks } };
    return this.moveAlone(this.store.needEnv(next.id), move, () => next);
  }

  /** @throws ByrefError 'busy', with nothing changed, if dpkg is at work in the env for too long */
  private async moveAlone(row: EnvRow, move: Move, next: () => EnvRow): Promise<PatchRecord> {
    if ((await this.waits.until([row])).length > 0) throw this.giveUp(row);
    await this.move(move, 'acting', () => this.store.putEnv(next()));
    if (this.current.envs.some(({ outcome }) => outcome === 'busy')) {
      this.store.tables.transaction(() => this.store.putEnv(row));
      throw this.giveUp(row);
    }
    return this.endMoved();
  }

  private giveUp({ name }: EnvRow): ByrefError {
    this.end('undone', `dpkg or apt is at work in ${name}`);
    const hint = 'Let it finish, or wait longer with --dpkg-wait 10m.';
    return new ByrefError('busy', `dpkg or apt is at work in ${name}: nothing was changed`, hint);
  }

  private toVersion(rows: readonly EnvRow[], version: number): Move {
    const { templateId } = this.current;
    const next = nextStacks(this.store, rows, templateId, version);
    return { next, prepare: { versions: [{ templateId, version }], stacks: [] } };
  }

  /** Leaves the patch as it is: some envs are at the version, and a further command decides. */
  hold(): PatchRecord {
    return this.end('canary', '');
  }

  /** Takes all envs back that went to the version. @param why for the record */
  async undo(why: string): Promise<PatchRecord> {
    await this.makeActs();
    const { templateId, id } = this.current;
    const rows = this.store.envs().filter((row) => entryOf(row, templateId)?.canary?.patch === id);
    const { next, prepare } = this.toVersion(rows, this.current.from);
    await this.waits.until(rows);
    // The stacks existed before; if one can't be composed again, its env has its apps' files as they are.
    await readyStacks(this.store, next, { shared: false }).catch(() => []);
    await busyEnvs(this.store, true);
    const plans = await this.planBack(movesTo(this.store, next), [this.current], true);
    await makeBefore(this.store, plans);
    const acts = actsOf(plans);
    const report = await flip(this.store, {
      prepare,
      acts: this.told(acts),
      commit: () => {
        for (const row of rows) this.store.putEnv(withEntry(row, templateId, { canary: null }));
        this.put({ ...this.current, note: why });
      },
    });
    failpoint('patch-undone');
    const done = await this.act(rows, acts, report);
    const envs = outcomes(this.store, rows, report);
    const told = envs.map((env) => ({ ...env, ...packagesIn(plans.get(env.id)) }));
    this.current = { ...this.current, envs: this.merged(told, done) };
    await this.completions.make(this.current.envs);
    return this.end('undone', why);
  }

  /** Does what a crash after the commit left undone, and moves envs that dpkg held up. */
  async finish(): Promise<PatchRecord> {
    const { store } = this;
    const report = await this.makeActs();
    const rows = this.current.envs.flatMap(({ id, outcome }) =>
      outcome === 'busy' ? [] : (store.env(id) ?? []),
    );
    const envs = this.merged(outcomes(store, rows, report), new Map());
    this.current = { ...this.current, envs };
    await this.completions.make(envs);
    await this.moveLate();
    const isLate = this.current.envs.some(({ outcome }) => outcome === 'busy');
    return isLate ? this.endMoved() : this.end('done', this.current.note);
  }

  /** Makes all acts that are not known to be made, and brings what is mounted to what the store says. */
  private async makeActs(): Promise<FlipReport> {
    const rows = this.current.envs.flatMap(({ id }) => this.store.env(id) ?? []);
    const acts = new Map(
      this.current.envs
        .filter((env) => env.acts.some((act) => !act.done))
        .map((env) => [env.id, [...env.acts]]),
    );
    const report = await refreshAll(this.store, this.told(acts));
    const waiting = rows.filter(({ id }) => acts.has(id));
    const done = await this.act(waiting, acts, report);
    const envs = this.current.envs.map((env) => ({ ...env, acts: done.get(env.id) ?? env.acts }));
    this.current = { ...this.current, envs };
    return report;
  }

  /** Gives the lock up, without ending the record. */
  release(): void {
    this.lock.release();
  }

  private followers(): EnvRow[] {
    return followersOf(this.store, this.current.templateId);
  }

  /**
   * Moves envs: makes what must be made before, flips, and makes the acts.
   * @param commit writes the rows of the envs that go there: all but those in which dpkg is at work
   */
  private async move(
    { next, prepare }: Move,
    state: PatchState,
    commit: (moved: readonly EnvRow[]) => void,
  ): Promise<void> {
    // Envs may have come since stacks were made ready first.
    await readyStacks(this.store, next, { shared: false });
    const busy = await busyEnvs(this.store, true);
    const free = next.filter(({ row }) => !busy.has(row.id));
    const plans = await this.plan(movesTo(this.store, free));
    for (const env of await makeBefore(this.store, plans)) {
      busy.add(env);
      plans.delete(env);
    }
    const acts = actsOf(plans);
    const moved = next.map(({ row }) => row).filter(({ id }) => !busy.has(id));
    const late = next.map(({ row }) => row).filter(({ id }) => busy.has(id));
    const report = await flip(this.store, {
      prepare,
      acts: this.told(acts),
      commit: () => {
        commit(moved);
        const envs = [...planned(moved, 'stopped', plans), ...planned(late, 'busy', plans)];
        this.put({ ...this.current, state, envs: this.merged(envs, acts) });
      },
    });
    failpoint('patch-flipped');
    const done = await this.act(moved, acts, report);
    const envs = this.merged(outcomes(this.store, moved, report), done);
    const stayed = moved.filter(({ id }) => report.envs.get(id)?.busy === true);
    this.store.tables.transaction(() => {
      if (state === 'acting' && this.current.all)
        for (const { id } of stayed) this.store.putEnv(this.late(this.store.needEnv(id)));
      this.put({ ...this.current, envs });
    });
    failpoint('patch-recorded');
    await this.completions.make(envs);
  }

  private saveEnv(env: PatchedEnv): void {
    const envs = this.current.envs.map((each) => (each.id === env.id ? env : each));
    this.store.tables.transaction(() => this.put({ ...this.current, envs }));
  }

  /** Plans what is to be done in the envs, before anything is; by env. */
  private async plan(moves: readonly EnvMove[]): Promise<Map<number, EnvPlan>> {
    const { kind, policies, id, templateId, from, to } = this.current;
    if (kind === 'rollback')
      return this.planBack(moves, undoneBy(this.store, templateId, to), true);
    if (kind === 'pin' || kind === 'follow') {
      return this.planBack(moves, patchesAbove(this.store, templateId, to), to < from);
    }
    const plans = new Map<number, EnvPlan>();
    for (const move of moves) {
      const plan = await planEnv(this.store, move, { patch: id, policies, restores: [] });
      if (plan !== null) plans.set(move.row.id, plan);
    }
    return plans;
  }

  /**
   * Plans a way back: what these patches did in the envs is put back. Registry files that can't be put back are merged.
   * @param isBack true on the way to what was there before; false to a newer version, by which an env leaves patches as well
   */
  private async planBack(
    moves: readonly EnvMove[],
    undone: readonly PatchRecord[],
    isBack: boolean,
  ): Promise<Map<number, EnvPlan>> {
    const { id: patch, policies: all } = this.current;
    // Files are put back as they were, so policies about them, which were the patch's, do not count.
    const policies = all.filter(isOfDependencies);
    const touched = new Set(
      undone.flatMap(({ envs }) => envs.filter((env) => env.acts.length > 0).map((env) => env.id)),
    );
    const plans = new Map<number, EnvPlan>();
    for (const move of moves) {
      const { row } = move;
      const brought = isBack ? broughtAlong(undone, row.id) : null;
      const restores = touched.has(row.id) ? await planRestores(this.store, row, undone) : [];
      const completing = { trial: null, brought };
      const plan = await planEnv(this.store, move, { patch, policies, restores, completing });
      if (plan !== null) plans.set(row.id, plan);
    }
    return plans;
  }

  private told(acts: ReadonlyMap<number, readonly PatchAct[]>): EnvActs[] {
    return [...acts]
      .map(([env, own]) => ({ env, acts: toMake(own, this.current.id) }))
      .filter((each) => each.acts.length > 0);
  }

  /** Returns the outcomes of the acts: drivers report those in mounted envs; in the others the acts are made now. */
  private async act(
    rows: readonly EnvRow[],
    acts: ReadonlyMap<number, readonly PatchAct[]>,
    report: FlipReport,
  ): Promise<Map<number, PatchAct[]>> {
    const done = new Map<number, PatchAct[]>();
    for (const row of rows) {
      const own = acts.get(row.id) ?? [];
      const told = report.envs.get(row.id);
      const results = told?.acts ?? (await this.actIn(row, own));
      if (told?.busy) continue;
      const after = made(own, results);
      done.set(row.id, after);
      this.removeMerges(row, own, after);
      failpoint('patch-acted');
    }
    return done;
  }

  /** Removes merges that are in place, or will not be used. An act that is to be tried again still needs its merge. */
  private removeMerges(row: EnvRow, before: readonly PatchAct[], after: readonly PatchAct[]): void {
    const directory = envDir(this.store.root, row.id);
    before.forEach(({ file }, i) => {
      if (file !== undefined && after[i]?.done) rmSync(path.join(directory, file), { force: true });
    });
  }

  private async actIn(row: EnvRow, acts: readonly PatchAct[]) {
    const wanted = toMake(acts, this.current.id);
    if (wanted.length === 0) return [];
    const { actOffline } = await import('./offline.ts');
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const results = await actOffline(this.store, row, wanted);
      if (results !== null) return results;
      // Somebody mounted it meanwhile who had not seen the record: its driver makes the acts.
      const report = await refreshAll(this.store, [{ env: row.id, acts: wanted }]);
      const told = report.envs.get(row.id);
      if (told !== undefined) return told.acts;
    }
    return [];
  }

  /** Returns the record's envs, with newer outcomes and with their acts. */
  private merged(
    envs: readonly PatchedEnv[],
    acts: ReadonlyMap<number, readonly PatchAct[]>,
  ): PatchedEnv[] {
    const all = new Map(this.current.envs.map((env) => [env.id, env]));
    for (const env of envs) {
      const before = all.get(env.id);
      // A canary went before: what was done to it then is its outcome, and nothing more is done to it.
      const went = before?.outcome === 'flipped' && STILL.has(env.outcome);
      const own = acts.get(env.id) ?? [];
      const kept = (before?.acts ?? []).filter(({ dir, name }) => {
        return !own.some((act) => act.dir === dir && act.name === name);
      });
      const { completion = before?.completion } = env;
      const told = completion === undefined ? env : { ...env, completion };
      const known = knownPackages(env.packages === undefined ? (before ?? env) : told);
      all.set(env.id, { ...(went ? before : env), ...known, acts: [...kept, ...own] });
    }
    return [...all.values()];
  }

  /** Ends the record if all is done. What failed in an env (its driver died), the next command tries once more. */
  private endMoved(): PatchRecord {
    const isDone = ({ outcome, acts, completion }: PatchedEnv): boolean =>
      outcome !== 'busy' && acts.every(({ done }) => done) && completion?.done !== false;
    if (this.current.envs.every(isDone)) return this.end('done', this.current.note);
    this.release();
    return this.current;
  }

  private end(state: PatchState, note: string): PatchRecord {
    const endedMs = state === 'canary' ? null : Date.now();
    const ended = { ...this.current, state, endedMs, note: note || this.current.note };
    this.store.tables.transaction(() => this.put(ended));
    this.release();
    return ended;
  }

  private put(record: PatchRecord): void {
    this.store.patches.put(record);
    this.current = record;
  }
}

/** Outcomes that a further move reports for an env that moved before. */
const STILL: ReadonlySet<EnvOutcome> = new Set(['flipped', 'stopped']);

/** Returns entries of the record for envs whose move is committed, but not made yet. */
const planned = (
  rows: readonly EnvRow[],
  outcome: EnvOutcome,
  plans: ReadonlyMap<number, EnvPlan>,
): PatchedEnv[] =>
  rows.map(({ id, name }) => ({
    id,
    name,
    outcome,
    ...packagesIn(plans.get(id)),
    own: 0,
    removed: 0,
    keptDirs: 0,
    acts: [],
    error: null,
  }));

/** Returns what only the plan knows about packages. */
function packagesIn(plan: EnvPlan | undefined): PackagesInEnv {
  const { own = [], unmet = [], unjudged = null, completion = null } = plan ?? {};
  return {
    packages: own,
    unmet,
    ...(unjudged === null ? {} : { unjudged }),
    ...(completion === null ? {} : { completion }),
  };
}

type PackagesInEnv = Pick<PatchedEnv, 'packages' | 'unmet' | 'unjudged' | 'completion'>;

/** Returns what the record knows about packages, without the fields that are unknown. */
function knownPackages({
  packages = [],
  unmet = [],
  unjudged,
  completion,
}: PatchedEnv): PackagesInEnv {
  return {
    packages,
    unmet,
    ...(unjudged === undefined ? {} : { unjudged }),
    ...(completion === undefined ? {} : { completion }),
  };
}

const actsOf = (plans: ReadonlyMap<number, EnvPlan>): Map<number, readonly PatchAct[]> =>
  new Map([...plans].filter(([, { acts }]) => acts.length > 0).map(([id, { acts }]) => [id, acts]));
