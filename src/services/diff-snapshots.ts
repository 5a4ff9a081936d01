import { changesBetween } from '../manager/envs/compare.ts';
import { seenNow } from '../manager/envs/copy-private.ts';
import type { EnvChange } from '../manager/envs/diff.ts';
import { needSnapshot, readSnapshotNote, unchangedIn } from '../manager/envs/snapshots.ts';
import type { EnvRow, Store } from '../store/store.ts';

/** What differs between a snapshot and the env, or a later snapshot. */
export interface SnapshotDifference {
  readonly changes: readonly EnvChange[];
  /** Templates that are at another version, as NAME@VERSION; null on the side whose stack does not have it. */
  readonly templates: readonly { readonly from: string | null; readonly to: string | null }[];
}

/**
 * Compares a snapshot of an env with the env as it is now, mounted or not, or with another snapshot of it.
 * @param later the other snapshot; null: the env
 * @throws ByrefError 'notFound'
 */
export async function diffSnapshots(
  store: Store,
  env: EnvRow,
  name: string,
  later: string | null,
): Promise<SnapshotDifference> {
  const before = needSnapshot(store, env, name);
  const after = later === null ? env : needSnapshot(store, env, later);
  const changes = await changesBetween(
    store,
    before,
    after,
    unchanged(store, before, later, after),
  );
  return { changes, templates: templatesBetween(store, before, after) };
}

/** Tells of private files that have not changed between a snapshot and the env, or a later one, by their inodes and ctimes. */
function unchanged(
  { root }: Store,
  before: EnvRow,
  later: string | null,
  after: EnvRow,
): (name: string, file: string) => boolean {
  const isSame = unchangedIn(root, before.id);
  const { files } = later === null ? { files: null } : readSnapshotNote(root, after.id);
  return (name, file) => {
    const seen = files === null ? seenNow(file) : (files.get(name) ?? null);
    return seen !== null && isSame(name, seen);
  };
}

function templatesBetween(
  store: Store,
  before: EnvRow,
  after: EnvRow,
): SnapshotDifference['templates'] {
  const [was, is] = [store.plainStack(before), store.plainStack(after)];
  const ids = new Set([...was, ...is].map(({ templateId }) => templateId));
  const refIn = (stack: typeof was, id: number): string | null => {
    const ref = stack.find(({ templateId }) => templateId === id);
    return ref === undefined ? null : store.catalog.refName(ref);
  };
  return [...ids]
    .map((id) => ({ from: refIn(was, id), to: refIn(is, id) }))
    .filter(({ from, to }) => from !== to);
}
