/** `byref template log`: the versions of a template, what each changed, and which envs see it. */
import type { Store, TemplateRow, VersionRow } from '../../store/store.ts';
import { usersOf } from './followers.ts';
import { changesOf } from './plan.ts';
import { pastVersions } from './target.ts';

/**
 * How a version stands. current: envs that follow see it. past: it was current, and a rollback can go back to it. staged:
 * it was never current. old: it was current, but a rollback left it, or it is further back than rollbacks go.
 */
export type VersionState = 'current' | 'past' | 'staged' | 'old';

/** One version, for the log. */
export interface VersionLog {
  readonly number: number;
  readonly label: string;
  readonly note: string;
  /** When it was made. ISO 8601, UTC. */
  readonly date: string;
  readonly state: VersionState;
  /** How many names it changed against the version before; for the first version, the number of its files. */
  readonly changed: number;
  /** Bytes and objects that it brought and that the store did not have. */
  readonly addedBytes: number;
  readonly addedObjects: number;
  /** How many envs see it because they follow; then the names of envs that are pinned to it, or try it out. */
  readonly following: number;
  readonly pinned: readonly string[];
  readonly canaries: readonly string[];
}

/** Returns the template's versions, newest first. */
export function versionLog(store: Store, template: TemplateRow): VersionLog[] {
  const past = new Set(pastVersions(store, template));
  const users = usersOf(store, template.id);
  const following = users.filter(({ entry }) => entry.pinned === null && entry.canary === null);
  const versions = store.versions(template.id);
  return versions
    .map((version, i) => ({
      number: version.number,
      label: version.label,
      note: version.note,
      date: new Date(version.dateMs).toISOString(),
      state: stateOf(template, version, past),
      changed: changedBy(store, template, version, versions[i - 1]),
      addedBytes: version.addedBytes,
      addedObjects: version.addedObjects,
      following: version.number === template.current ? following.length : 0,
      pinned: users.flatMap(({ row, entry }) =>
        entry.pinned === version.number ? [row.name] : [],
      ),
      canaries: users.flatMap(({ row, entry }) =>
        entry.pinned === null && entry.canary?.version === version.number ? [row.name] : [],
      ),
    }))
    .reverse();
}

function stateOf(
  template: TemplateRow,
  { number, staged }: VersionRow,
  past: ReadonlySet<number>,
): VersionState {
  if (number === template.current) return 'current';
  if (staged) return 'staged';
  return past.has(number) ? 'past' : 'old';
}

function changedBy(
  store: Store,
  template: TemplateRow,
  { number, files }: VersionRow,
  before: VersionRow | undefined,
): number {
  return before === undefined ? files : changesOf(store, template.id, before.number, number).length;
}
