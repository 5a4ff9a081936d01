/**
 * How the record of a patch changes, event by event: pure functions, without the store and without drivers.
 *
 *     begin ──> rolling ──> acting ──> done
 *                  │  ╲
 *                  │   ╲──> canary ──> rolling …      (waits for another command)
 *                  ╰──────> undone                    (the envs went back)
 *
 * An env enters the record when its move is committed, as `stopped`, or as `busy` if dpkg is at work in it. Drivers
 * then say what came of it. Its actions are `done` one by one.
 */
import type {
  EnvOutcome,
  FileAction,
  PatchedEnv,
  PatchRecord,
  PatchState,
} from '../../codec/patch-record.ts';

/** Actions of envs, by the env's id. */
export type ActionsByEnv = ReadonlyMap<number, readonly FileAction[]>;

/** The part of an env's entry that tells about packages. */
export type PackagesInEnv = Pick<PatchedEnv, 'packages' | 'unmet' | 'unjudged' | 'completion'>;

/** What happens to a patch. */
export type PatchEvent =
  /** The move of envs is committed: `going` will see the version, `late` stay until dpkg has finished in them. */
  | {
      readonly what: 'committed';
      readonly state: PatchState;
      /** True if the current version moves, and with it all envs that follow. */
      readonly all: boolean;
      readonly going: readonly PlannedEnv[];
      readonly late: readonly PlannedEnv[];
      readonly acts: ActionsByEnv;
    }
  /** Drivers, or this process, brought envs to the version, or did not. */
  | { readonly what: 'reported'; readonly envs: readonly PatchedEnv[]; readonly acts: ActionsByEnv }
  /** Actions that an earlier process left were made. */
  | { readonly what: 'acted'; readonly acts: ActionsByEnv }
  /** apt was tried in one env. */
  | { readonly what: 'completed'; readonly env: PatchedEnv }
  /** A remark, before the envs go back. */
  | { readonly what: 'noted'; readonly note: string }
  | {
      readonly what: 'ended';
      readonly state: PatchState;
      /** Replaces the note, unless it is empty. */
      readonly note: string;
      readonly atMs: number;
    };

/** An env whose move is planned, with what the plan knows of its packages. */
export interface PlannedEnv {
  readonly id: number;
  readonly name: string;
  readonly packages: PackagesInEnv;
}

/** Returns the record after an event. */
export function afterEvent(record: PatchRecord, event: PatchEvent): PatchRecord {
  switch (event.what) {
    case 'committed': {
      const { state, going, late, acts } = event;
      const envs = [...entered(going, 'stopped'), ...entered(late, 'busy')];
      return { ...record, state, all: record.all || event.all, envs: merged(record, envs, acts) };
    }
    case 'reported':
      return { ...record, envs: merged(record, event.envs, event.acts) };
    case 'acted': {
      const { acts } = event;
      return {
        ...record,
        envs: record.envs.map((env) => ({ ...env, acts: acts.get(env.id) ?? env.acts })),
      };
    }
    case 'completed': {
      const { env } = event;
      return { ...record, envs: record.envs.map((each) => (each.id === env.id ? env : each)) };
    }
    case 'noted':
      return { ...record, note: event.note };
    case 'ended': {
      const { state, note, atMs } = event;
      const endedMs = state === 'canary' ? null : atMs;
      return { ...record, state, endedMs, note: note || record.note };
    }
  }
}

/** Returns true if nothing of the patch is left to do: no env waits, and all actions and packages are done. */
export function isComplete({ envs }: PatchRecord): boolean {
  return envs.every(
    ({ outcome, acts, completion }) =>
      outcome !== 'busy' && acts.every(({ done }) => done) && completion?.done !== false,
  );
}

/** Returns entries for envs whose move is committed, but not made yet. */
const entered = (envs: readonly PlannedEnv[], outcome: EnvOutcome): PatchedEnv[] =>
  envs.map(({ id, name, packages }) => ({
    id,
    name,
    outcome,
    ...packages,
    own: 0,
    removed: 0,
    keptDirs: 0,
    acts: [],
    error: null,
  }));

/** Outcomes that a further move reports for an env that moved before. */
const STILL: ReadonlySet<EnvOutcome> = new Set(['flipped', 'stopped']);

/** Returns the record's envs, with newer outcomes and with their actions. */
function merged(
  { envs: known }: PatchRecord,
  envs: readonly PatchedEnv[],
  acts: ActionsByEnv,
): PatchedEnv[] {
  const all = new Map(known.map((env) => [env.id, env]));
  for (const env of envs) {
    const before = all.get(env.id);
    // A canary went before: what was done to it then is its outcome, and nothing more is done to it.
    const went = before?.outcome === 'flipped' && STILL.has(env.outcome);
    const own = acts.get(env.id) ?? [];
    const kept = (before?.acts ?? []).filter(
      ({ dir, name }) => !own.some((act) => act.dir === dir && act.name === name),
    );
    const { completion = before?.completion } = env;
    const told = completion === undefined ? env : { ...env, completion };
    const packages = knownPackages(env.packages === undefined ? (before ?? env) : told);
    all.set(env.id, { ...(went ? before : env), ...packages, acts: [...kept, ...own] });
  }
  return [...all.values()];
}

/** Returns what an entry knows about packages, without the fields that are unknown. */
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
