/**
 * Runs one patch or rollback, from its record to its end. Waves of envs go to the version, and the last wave goes by moving
 * the current version itself; or all that went go back.
 *
 * Crash windows. The record says `rolling` from before the first wave until the last: a command that finds it without
 * its process takes the waves back. The transaction that moves the current version makes it `acting`: from then on it is
 * finished, never taken back. Actions in envs are in the record before they are made, and can be made again.
 */
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import type { PatchedEnv, PatchRecord, PatchState } from '../../codec/patch-record.ts';
import type { PrepareRequest } from '../../ipc/protocol.ts';
import type { EnvRow, Store, TemplateRow } from '../../store/store.ts';
import { BusyWait, type BusyWaitOptions } from './busy.ts';
import { Completions } from './completions.ts';
import { busyEnvs, type FlipReport, flip, outcomes, refreshAll } from './flip.ts';
import { type EntryChanges, entryOf, followersOf, withEntry } from './followers.ts';
import type { PatchLock } from './lock.ts';
import { makeActions, unmadeByEnv } from './make-actions.ts';
import { makeBefore } from './make-before.ts';
import { movesTo, nextStacks } from './moves.ts';
import { actionsOf, planBack, planMoves, plannedEnvs } from './plans.ts';
import { type NextStack, prepareStacks } from './prepare-stacks.ts';
import { removeAllPrepared } from './prepared-files.ts';
import { type RecordOptions, RunRecord } from './run-record.ts';
import { isComplete } from './transitions.ts';

/** What the caller of PatchRun.begin() decides: the record, and how long to wait for dpkg. */
export interface RunOptions extends RecordOptions, BusyWaitOptions {}

/** The stacks that envs are to go to, and the message that tells drivers of it before. */
interface Move {
  readonly next: readonly NextStack[];
  readonly prepare: PrepareRequest;
}

/** One patch that is under way. The store is open for writing. */
export class PatchRun {
  private readonly store: Store;
  private readonly run: RunRecord;
  private readonly waits: BusyWait;
  private readonly completions: Completions;

  private constructor(store: Store, run: RunRecord, waits: BusyWait) {
    this.store = store;
    this.run = run;
    this.waits = waits;
    const saveEnv = (env: PatchedEnv): void => run.save({ what: 'completed', env });
    this.completions = new Completions(store, run.now.policies, saveEnv);
  }

  /** Begins a new record. From now on the run owns the lock. */
  static begin(
    store: Store,
    lock: PatchLock,
    template: TemplateRow,
    to: number,
    options: RunOptions,
  ): PatchRun {
    const run = RunRecord.begin(store, lock, template, to, options);
    return new PatchRun(store, run, new BusyWait(store, options));
  }

  /** Takes up a record that exists. From now on the run owns the lock. */
  static resume(
    store: Store,
    lock: PatchLock,
    record: PatchRecord,
    waits: BusyWaitOptions = {},
  ): PatchRun {
    return new PatchRun(store, new RunRecord(store, lock, record), new BusyWait(store, waits));
  }

  get record(): PatchRecord {
    return this.run.now;
  }

  /** Takes some envs to the version while the others stay. Passes over envs that no longer follow the template. */
  async advance(envs: readonly number[]): Promise<void> {
    const { templateId, id: patch, to } = this.record;
    const rows = this.followers().filter(({ id }) => envs.includes(id));
    await this.waits.until(rows);
    await this.move(this.toVersion(rows, to), 'wave', (moved) => {
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
    const { templateId, to } = this.record;
    const rows = this.followers();
    await this.move(this.toVersion(rows, to), 'all', (moved) => {
      const { catalog } = this.store;
      const template = catalog.byId(templateId);
      const version = catalog.version(templateId, to);
      if (template === null || version === null)
        throw new Error(`${this.record.template}@${to} is gone`);
      catalog.put({ ...template, current: to });
      catalog.putVersion(templateId, { ...version, staged: false });
      for (const row of moved) {
        if (entryOf(row, templateId)?.canary !== null) {
          this.store.putEnv(withEntry(row, templateId, { canary: null }));
        }
      }
      for (const row of rows) if (!moved.includes(row)) this.store.putEnv(this.late(row));
    });
    await this.moveLate();
    return this.endMoved();
  }

  /** Returns the row of an env that stays where it is while the others go. */
  private late(row: EnvRow): EnvRow {
    const { templateId, id: patch, from } = this.record;
    const canary = entryOf(row, templateId)?.canary ?? { version: from, patch };
    return withEntry(row, templateId, { canary: { ...canary, patch } });
  }

  /** Takes the envs there that dpkg held up. Waits for dpkg, but not for ever. */
  private async moveLate(): Promise<void> {
    const { templateId, id, to } = this.record;
    for (;;) {
      const late = this.store.envs().filter((row) => {
        const canary = entryOf(row, templateId)?.canary ?? null;
        return canary?.patch === id && canary.version !== to;
      });
      const free = await this.waits.someFree(late);
      if (free.length === 0) return;
      await this.move(this.toVersion(free, to), 'some', (moved) => {
        for (const row of moved) this.store.putEnv(withEntry(row, templateId, { canary: null }));
      });
    }
  }

  /** Moves one env by changing its entry for the template; other envs stay where they are. */
  async moveOne(row: EnvRow, entry: EntryChanges): Promise<PatchRecord> {
    const { templateId, to } = this.record;
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
    await this.move(move, 'some', () => this.store.putEnv(next()));
    if (this.record.envs.some(({ outcome }) => outcome === 'busy')) {
      this.store.transaction(() => this.store.putEnv(row));
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
    const { templateId } = this.record;
    const next = nextStacks(this.store, rows, templateId, version);
    return { next, prepare: { versions: [{ templateId, version }], stacks: [] } };
  }

  /** Leaves the patch as it is: some envs are at the version, and a further command decides. */
  hold(): PatchRecord {
    return this.end('canary', '');
  }

  /** Takes all envs back that went to the version. @param why for the record */
  async undo(why: string): Promise<PatchRecord> {
    await this.finishActions();
    const { templateId, id } = this.record;
    const rows = this.store.envs().filter((row) => entryOf(row, templateId)?.canary?.patch === id);
    const { next, prepare } = this.toVersion(rows, this.record.from);
    await this.waits.until(rows);
    // The stacks existed before; if one can't be composed again, its env has its apps' files as they are.
    await prepareStacks(this.store, next, { shared: false }).catch(() => []);
    await busyEnvs(this.store, true);
    const { run, store } = this;
    const plans = await planBack(store, run.now, movesTo(store, next), [run.now], true);
    await makeBefore(store, plans);
    const acts = actionsOf(plans);
    const report = await flip(store, {
      prepare,
      acts: unmadeByEnv(acts, id),
      commit: () => {
        for (const row of rows) store.putEnv(withEntry(row, templateId, { canary: null }));
        run.put({ what: 'noted', note: why });
      },
    });
    failpoint('patch-undone');
    const done = await makeActions(store, rows, acts, id, report);
    const packages = new Map(plannedEnvs(rows, plans).map((env) => [env.id, env.packages]));
    const envs = outcomes(store, rows, report).map((env) => ({ ...env, ...packages.get(env.id) }));
    run.note({ what: 'reported', envs, acts: done });
    await this.completions.make(run.now.envs);
    removeAllPrepared(store, run.now);
    return this.end('undone', why);
  }

  /** Does what a crash after the commit left undone, and moves envs that dpkg held up. */
  async finish(): Promise<PatchRecord> {
    const { store, run } = this;
    const report = await this.finishActions();
    const rows = run.now.envs.flatMap(({ id, outcome }) =>
      outcome === 'busy' ? [] : (store.env(id) ?? []),
    );
    run.note({ what: 'reported', envs: outcomes(store, rows, report), acts: new Map() });
    await this.completions.make(run.now.envs);
    await this.moveLate();
    removeAllPrepared(store, run.now);
    const isLate = run.now.envs.some(({ outcome }) => outcome === 'busy');
    return isLate ? this.endMoved() : this.end('done', run.now.note);
  }

  /** Makes all actions that are not known to be made, and brings what is mounted to what the store says. */
  private async finishActions(): Promise<FlipReport> {
    const { store, run } = this;
    const { id: patch, envs } = run.now;
    const rows = envs.flatMap(({ id }) => store.env(id) ?? []);
    const acts = new Map(
      envs.filter((env) => env.acts.some((act) => !act.done)).map((env) => [env.id, [...env.acts]]),
    );
    const report = await refreshAll(store, unmadeByEnv(acts, patch));
    const waiting = rows.filter(({ id }) => acts.has(id));
    const done = await makeActions(store, waiting, acts, patch, report);
    run.note({ what: 'acted', acts: done });
    return report;
  }

  /** Gives the lock up, without ending the record. */
  release(): void {
    this.run.release();
  }

  private followers(): EnvRow[] {
    return followersOf(this.store, this.record.templateId);
  }

  /**
   * Moves envs: makes what must be made before, flips, and makes the actions.
   * @param goes 'wave': some envs go ahead. 'some': these envs go for good, by themselves. 'all': all that follow, with the current version.
   * @param commit writes the rows of the envs that go there: all but those in which dpkg is at work
   */
  private async move(
    { next, prepare }: Move,
    goes: 'wave' | 'some' | 'all',
    commit: (moved: readonly EnvRow[]) => void,
  ): Promise<void> {
    const { store, run } = this;
    const patch = run.now.id;
    // Envs may have come since stacks were made ready first.
    await prepareStacks(store, next, { shared: false });
    const busy = await busyEnvs(store, true);
    const free = next.filter(({ row }) => !busy.has(row.id));
    const plans = await planMoves(store, run.now, movesTo(store, free));
    for (const env of await makeBefore(store, plans)) {
      busy.add(env);
      plans.delete(env);
    }
    failpoint('patch-planned');
    const acts = actionsOf(plans);
    const moved = next.map(({ row }) => row).filter(({ id }) => !busy.has(id));
    const late = next.map(({ row }) => row).filter(({ id }) => busy.has(id));
    const report = await flip(store, {
      prepare,
      acts: unmadeByEnv(acts, patch),
      commit: () => {
        commit(moved);
        run.put({
          what: 'committed',
          state: goes === 'wave' ? 'rolling' : 'acting',
          all: goes === 'all',
          going: plannedEnvs(moved, plans),
          late: plannedEnvs(late, plans),
          acts,
        });
      },
    });
    failpoint('patch-flipped');
    const done = await makeActions(store, moved, acts, patch, report);
    const envs = outcomes(store, moved, report);
    const stayed = moved.filter(({ id }) => report.envs.get(id)?.busy === true);
    store.transaction(() => {
      if (goes !== 'wave' && run.now.all)
        for (const { id } of stayed) store.putEnv(this.late(store.needEnv(id)));
      run.put({ what: 'reported', envs, acts: done });
    });
    failpoint('patch-recorded');
    await this.completions.make(run.now.envs);
  }

  /** Ends the record if all is done. What failed in an env (its driver died), the next command tries once more. */
  private endMoved(): PatchRecord {
    if (isComplete(this.record)) return this.end('done', this.record.note);
    this.release();
    return this.record;
  }

  private end(state: PatchState, note: string): PatchRecord {
    this.run.save({ what: 'ended', state, note, atMs: Date.now() });
    this.release();
    return this.record;
  }
}
