/** Opens the store for commands. */
import { accessSync, constants } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import type { StoreAccess } from '../manager/sandbox/store-access.ts';
import { forever } from '../store/patience.ts';
import { metaDir, openStore, type Store } from '../store/store.ts';
import { upgradeRoot } from '../store/upgrade.ts';
import type { Context } from './command.ts';
import { sayLines } from './print.ts';

/**
 * How a command uses the store. 'add': it is open for writing, but the writer's lock is taken only when it is
 * needed, as addVersion does.
 */
type Mode = 'read' | 'write' | 'add';

const WRITE = { read: false, write: true, add: 'on-demand' } as const;

/**
 * Runs `work` with the store open, and closes it in any case. A patch whose process died is finished or undone
 * first, so that no command sees a half-done one.
 */
export async function withStore<T>(
  { root, patience }: Pick<Context, 'root' | 'patience'>,
  mode: Mode,
  work: (store: Store) => T | Promise<T>,
): Promise<T> {
  refuseStranger(root);
  await upgradeRoot(root, patience);
  const store = await openStore(root, { write: WRITE[mode], patience });
  try {
    const dead = await hasDead(store);
    if (dead && mode !== 'read') await store.writing(() => recover(store));
    if (!dead || mode !== 'read') return await work(store);
  } finally {
    await store.close();
  }
  await endDead(root);
  const after = await openStore(root, { write: false });
  try {
    return await work(after);
  } finally {
    await after.close();
  }
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
    throw new ByrefError('unsupported', message, 'run byref as root: sudo byref ...', { cause });
  }
}

/**
 * Returns access to the store for work that takes long. Only its first access is given up when others write for
 * longer than the user wants to wait; later ones wait as long as it takes.
 */
export function storeAccess(context: Context): StoreAccess {
  const { root, patience } = context;
  let later = { root, patience };
  return {
    read: (work) => withStore(context, 'read', work),
    async write(work) {
      const done = await withStore(later, 'write', work);
      later = { root, patience: forever(patience) };
      return done;
    },
    add: (work) => withStore(context, 'add', work),
  };
}

/** Tells whether a patch's process has died. Costs one read if no patch is under way. */
async function hasDead(store: Store): Promise<boolean> {
  const unfinished = store.patches.unfinished();
  if (unfinished.length === 0) return false;
  const { isUnderWay } = await import('../manager/rollout/lock.ts');
  return unfinished.some(({ templateId }) => !isUnderWay(store.root, templateId));
}

/**
 * Finishes or undoes dead patches for a command that only reads. While another command writes, they stay as
 * they are for now.
 */
async function endDead(root: string): Promise<void> {
  try {
    const store = await openStore(root, { write: true });
    await recover(store).finally(() => store.close());
  } catch (error) {
    if (!(error instanceof ByrefError) || error.code !== 'locked') throw error;
  }
}

async function recover(store: Store): Promise<void> {
  const { recoverPatches } = await import('../manager/rollout/recover.ts');
  const { sweepScratchEnvs } = await import('../manager/sandbox/scratch-env.ts');
  // The process may have died while it composed a stack, in a scratch env.
  await sweepScratchEnvs(store);
  for (const { id, kind, template, state } of await recoverPatches(store)) {
    const how = state === 'undone' ? 'taken back' : 'finished';
    sayLines(`byref: ${kind} ${id} of ${template}, whose process had died, was ${how}`);
  }
}
