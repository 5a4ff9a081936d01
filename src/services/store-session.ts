/**
 * Opens the store for use cases. One that is short runs in one withStore(). One that takes long, as a build does, opens the store
 * only while it needs it: storeAccess().
 */
import { accessSync, constants } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import type { OldReaders } from '../ipc/protocol.ts';
import { tellReplaced } from '../manager/envs/tell-replaced.ts';
import type { StoreAccess } from '../manager/sandbox/store-access.ts';
import { forever, type Patience } from '../store/patience.ts';
import { metaDir, openStore, type Store } from '../store/store.ts';
import { upgradeRoot } from '../store/upgrade.ts';
import { hasDeadPatch, type OnRecovered, recover, recoverIfFree } from './recovery.ts';

/** The root to work on, and the caller's part when it is opened. */
export interface StoreSession {
  /** Absolute path of the root. */
  readonly root: string;
  /** How it waits for other processes that are in its way. */
  readonly patience: Patience;
  /** Is told what was recovered before the work began. */
  readonly onRecovered: OnRecovered;
  /** Is told when damaged objects were written anew; and in how many open files of envs programs go on reading the old ones. */
  readonly onReplaced?: (objects: number, readers: readonly OldReaders[], store: Store) => void;
  /** Is called, when the store is opened for reading, before a patch whose process died is recovered; may throw instead. */
  readonly onDeadPatch?: () => void;
}

/**
 * How the store is used. 'add': it is open for writing, but the writer's lock is taken only when it is needed, as addVersion
 * does.
 */
export type StoreMode = 'read' | 'write' | 'add';

const WRITE = { read: false, write: true, add: 'on-demand' } as const;

/** Returns the session with a wait that the signal ends. */
export const interruptible = <S extends Pick<StoreSession, 'patience'>>(
  session: S,
  signal: AbortSignal,
): S => ({ ...session, patience: { ...session.patience, signal } });

/**
 * Runs `work` with the store open, and closes it in any case. A root of an older format is upgraded first, and a patch whose
 * process died is finished or undone, so that no work sees a half-done one.
 */
export async function withStore<T>(
  { root, patience, onRecovered, onReplaced, onDeadPatch }: StoreSession,
  mode: StoreMode,
  work: (store: Store) => T | Promise<T>,
): Promise<T> {
  refuseStranger(root);
  // To be written, openStore() upgrades it.
  if (mode === 'read') await upgradeRoot(root, patience);
  const store = await openStore(root, { write: WRITE[mode], patience });
  try {
    const dead = await hasDeadPatch(store);
    if (dead && mode !== 'read') await store.writing(() => recover(store, onRecovered));
    if (!dead || mode !== 'read') {
      try {
        return await work(store);
      } finally {
        await tellOf(store, onReplaced);
      }
    }
    onDeadPatch?.();
  } finally {
    await store.close();
  }
  await recoverIfFree(root, onRecovered);
  const after = await openStore(root, { write: false });
  try {
    return await work(after);
  } finally {
    await after.close();
  }
}

/** Has drivers read objects anew that were damaged, and that the work has written anew. */
async function tellOf(store: Store, onReplaced: StoreSession['onReplaced']): Promise<void> {
  const { changed } = store.objects;
  if (changed.size === 0) return;
  const shards = store.envs().map(({ shard }) => shard);
  onReplaced?.(changed.size, await tellReplaced(store.root, shards, changed), store);
}

/**
 * Refuses users who can't read the root. Its content is root's alone: templates have files that only root may
 * read.
 * @throws ByrefError 'unsupported', instead of LMDB's own error
 */
function refuseStranger(root: string): void {
  const user = process.geteuid?.() ?? 0;
  if (user === 0) return;
  try {
    accessSync(metaDir(root), constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    if (!['EACCES', 'EPERM'].includes((cause as NodeJS.ErrnoException).code ?? '')) return;
    const message = `${root} is root's, and you are user ${user}`;
    throw new ByrefError('unsupported', message, 'Run byref as root: sudo byref ...', { cause });
  }
}

/**
 * Returns access to the store for work that takes long. Only its first access is given up when others write for
 * longer than the caller wants to wait; later ones wait as long as it takes.
 */
export function storeAccess(session: StoreSession): StoreAccess {
  const { patience } = session;
  let later = session;
  return {
    read: (work) => withStore(session, 'read', work),
    async write(work) {
      const done = await withStore(later, 'write', work);
      later = { ...session, patience: forever(patience) };
      return done;
    },
    add: (work) => withStore(session, 'add', work),
  };
}
