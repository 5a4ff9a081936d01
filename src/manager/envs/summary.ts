import type { EnvRow, StackEntry, Store } from '../../store/store.ts';
import type { EnvState, State } from './state.ts';

/** One env as `byref list` shows it; the names are those of --json. */
export interface EnvSummary {
  readonly id: number;
  readonly name: string;
  /** running: mounted, and its first process lives. frozen: it does, and stands still, as all do. The others: see State. */
  readonly state: State | 'running' | 'frozen';
  /** NAME; NAME@VERSION if the env is pinned to it; NAME@VERSION(canary) if it tries it out. */
  readonly os: string;
  readonly apps: readonly string[];
  readonly shard: number;
  /** The machine's id of its first process; null if it does not run. */
  readonly pid: number | null;
  /** Its address on the machine's bridge; null if it has none, or does not run. */
  readonly address: string | null;
  /** True if its root user is the machine's, when it runs. */
  readonly privileged: boolean;
  /** The names of its snapshots, oldest first. */
  readonly snapshots: readonly string[];
  /** null if it is not mounted. */
  readonly mountpoint: string | null;
  /** The mount's options, as mount(8) shows them; null if it is not mounted. */
  readonly options: string | null;
  /** When it was created. ISO 8601, UTC. */
  readonly created: string;
}

/** Returns what `byref list` shows of an env. */
export function summaryOf({
  row,
  state,
  mount,
  firstPid,
  frozen,
  address,
  privileged,
  snapshots,
}: EnvState): EnvSummary {
  const [os = '', ...apps] = row.stack.map(refOf);
  return {
    id: row.id,
    name: row.name,
    state: state === 'mounted' && firstPid !== null ? (frozen ? 'frozen' : 'running') : state,
    os,
    apps,
    shard: row.shard,
    pid: firstPid,
    address,
    privileged,
    snapshots,
    mountpoint: mount?.mountpoint ?? null,
    options: mount?.options ?? null,
    created: new Date(row.createdMs).toISOString(),
  };
}

/** Writes an entry as EnvSummary.os has it. */
function refOf({ template, pinned, canary }: StackEntry): string {
  if (pinned !== null) return `${template}@${pinned}`;
  return canary === null ? template : `${template}@${canary.version}(canary)`;
}

/** One template of an env's stack, with the version that the env sees now. */
export interface StackedTemplate {
  readonly template: string;
  readonly version: number;
  readonly pinned: boolean;
  readonly canary: boolean;
}

/** Returns an env's stack, the bottom (its OS template) first. */
export function stackOf(store: Store, row: EnvRow): StackedTemplate[] {
  return store.plainStack(row).map(({ version }, i) => ({
    template: row.stack[i]!.template,
    version,
    pinned: row.stack[i]!.pinned !== null,
    canary: row.stack[i]!.pinned === null && row.stack[i]!.canary !== null,
  }));
}
