import { failpoint } from '../base/failpoints.ts';
import { removeDelta } from '../driver/delta/remove-delta.ts';
import { type CopyHooks, copyAtRest } from '../manager/envs/copy-at-rest.ts';
import { passedOn, removeSetup, writeSetup } from '../manager/envs/first-mount/setup.ts';
import {
  formerSnapshot,
  noteSnapshot,
  shareFiles,
  snapshotName,
} from '../manager/envs/snapshots.ts';
import { syncFileSystem } from '../native/sync-file-system.ts';
import { noteDelta } from '../store/delta-marks.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { type SnapshotInfo, snapshotInfo } from './list-snapshots.ts';

/** A snapshot that was taken. */
export interface SnapshotTaken extends SnapshotInfo {
  /** How many of its files it shares with the snapshot before it. */
  readonly sharedFiles: number;
  /** For how long the env stood still, in milliseconds; null: it was stopped. */
  readonly frozenMs: number | null;
}

/**
 * Takes a snapshot of an env, running or not, as of one moment. The store is open for writing.
 *
 * Crash windows. The id is taken first, and for good; the row comes last. What is left between is the directory of an env that does not
 * exist, which the next destroy or gc removes.
 * @param name null: one is made of the time
 * @throws ByrefError 'busy' if the env's driver is gone, 'exists', 'usage', 'corrupt', 'noSpace'
 */
export async function takeSnapshot(
  store: Store,
  row: EnvRow,
  name: string | null,
  hooks: CopyHooks,
): Promise<SnapshotTaken> {
  const { root } = store;
  const own = name ?? nameOfNow(store, row);
  store.refuseSnapshotName(row, own);
  const id = store.reserveEnv();
  try {
    const { frozenMs, sharedFiles } = await copy(store, row, id, hooks);
    failpoint('snapshot-whole');
    const stack = store.plainStack(row).map(({ version }, i) => ({
      ...row.stack[i]!,
      ...{ pinned: version, canary: null },
    }));
    const made = store.createSnapshot(id, row, own, stack, store.settings(row.id));
    noteDelta(root, id);
    return { ...snapshotInfo(store, row, made), sharedFiles, frozenMs };
  } finally {
    if (store.env(id) === null) {
      removeSetup(root, id);
      removeDelta(envDir(root, id));
    }
  }
}

/** Makes the directory of the snapshot; it is on disk when this resolves. */
async function copy(
  store: Store,
  row: EnvRow,
  id: number,
  hooks: CopyHooks,
): Promise<Pick<SnapshotTaken, 'frozenMs' | 'sharedFiles'>> {
  const { root } = store;
  const directory = envDir(root, id);
  const told = passedOn(root, row);
  const former = formerSnapshot(store, row.id);
  const { frozenMs, files } = await copyAtRest(store, row, id, hooks, former?.isKnown);
  failpoint('snapshot-copied');
  if (former !== null) shareFiles(root, id, former, files.known);
  const follows = row.stack.map(({ pinned }) => pinned === null);
  noteSnapshot(root, id, follows, files);
  if (told !== null) writeSetup(root, id, told);
  const failed = await syncFileSystem(directory);
  if (failed < 0) throw new Error(`${directory} can't be put on disk: errno ${-failed}`);
  return { frozenMs, sharedFiles: files.known.size };
}

/** Makes a name of the time, in UTC: 20261201-113000; a later one of the same second has a number, too. */
function nameOfNow(store: Store, row: EnvRow): string {
  const [day = '', time = ''] = new Date().toISOString().split('T');
  const name = `${day.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}`;
  const taken = new Set(store.snapshots(row.id).map((each) => snapshotName(each)));
  for (let n = 1; ; n++) {
    const next = n === 1 ? name : `${name}-${n}`;
    if (!taken.has(next)) return next;
  }
}
