import { snapshotName } from '../manager/envs/snapshots.ts';
import { envUsage } from '../manager/envs/usage.ts';
import type { EnvRow, Store } from '../store/store.ts';

/** One snapshot of an env. */
export interface SnapshotInfo {
  readonly env: number;
  readonly name: string;
  readonly snapshot: string;
  /** When it was taken. ISO 8601, UTC. */
  readonly created: string;
  /** What the env saw, and a restore brings back, as NAME@VERSION; the OS first. */
  readonly stack: readonly string[];
  /**
   * Bytes on disk of the files that were the env's own, and how many. The snapshots of an env share those that did not change, so the sum
   * is more than all of them take.
   */
  readonly privateBytes: number;
  readonly privateFiles: number;
}

/** Lists the snapshots of envs, oldest first. */
export const listSnapshots = (store: Store, rows: readonly EnvRow[]): SnapshotInfo[] =>
  rows.flatMap((row) => store.snapshots(row.id).map((each) => snapshotInfo(store, row, each)));

/** Describes one snapshot of an env. Costs one stat per private file. */
export function snapshotInfo(store: Store, env: EnvRow, snapshot: EnvRow): SnapshotInfo {
  const { privateBytes, privateFiles } = envUsage(store, snapshot);
  return {
    ...{ env: env.id, name: env.name, snapshot: snapshotName(snapshot) },
    created: new Date(snapshot.createdMs).toISOString(),
    stack: store.plainStack(snapshot).map((ref) => store.catalog.refName(ref)),
    ...{ privateBytes, privateFiles },
  };
}
