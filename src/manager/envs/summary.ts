import type { EnvRow, StackEntry, Store } from '../../store/store.ts';
import type { EnvState, State } from './state.ts';

/** One env as `byref list` shows it; the names are those of --json. */
export interface EnvSummary {
  readonly id: number;
  readonly name: string;
  readonly state: State;
  /** NAME, NAME@VERSION where the env is pinned to it, NAME@VERSION(canary) where it tries it out. */
  readonly os: string;
  readonly apps: readonly string[];
  readonly shard: number;
  /** null where it is not mounted. */
  readonly mountpoint: string | null;
  /** Its options, as mount(8) shows them; null where it is not mounted. */
  readonly options: string | null;
  /** ISO 8601, UTC. */
  readonly created: string;
}

export function summaryOf({ row, state, mount }: EnvState): EnvSummary {
  const [os = '', ...apps] = row.stack.map(refOf);
  return {
    id: row.id,
    name: row.name,
    state,
    os,
    apps,
    shard: row.shard,
    mountpoint: mount?.mountpoint ?? null,
    options: mount?.options ?? null,
    created: new Date(row.createdMs).toISOString(),
  };
}

/** NAME, NAME@VERSION where it is pinned, or NAME@VERSION(canary) where it tries a version out. */
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

/** Bottom (the OS template) first. */
export function stackOf(store: Store, row: EnvRow): StackedTemplate[] {
  return store.plainStack(row).map(({ version }, i) => ({
    template: row.stack[i]!.template,
    version,
    pinned: row.stack[i]!.pinned !== null,
    canary: row.stack[i]!.pinned === null && row.stack[i]!.canary !== null,
  }));
}
