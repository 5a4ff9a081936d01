import { accessSync, constants } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import type { StoreAccess } from '../manager/sandbox/store-access.ts';
import { forever } from '../store/patience.ts';
import { metaDir, openStore, type Store } from '../store/store.ts';
import type { Context } from './command.ts';
import { sayLines } from './print.ts';

/** add: open for writing, and the writer's role is taken when it is needed, as addVersion does. */
type Mode = 'read' | 'write' | 'add';

const WRITE = { read: false, write: true, add: 'on-demand' } as const;

/**
 * Runs `work` with the store open, and closes it whatever happens. A patch that died is ended first, so that no
 * command sees half of one.
 */
export async function withStore<T>(
  { root, patience }: Pick<Context, 'root' | 'patience'>,
  mode: Mode,
  work: (store: Store) => T | Promise<T>,
): Promise<T> {
  refuseStranger(root);
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
 * What is in a root is root's: templates have files that only it may read.
 * @throws ByrefError 'unsupported' for a user who can't read it, in place of what LMDB would say
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
 * The store for work that takes long. Only what it begins with is given up when others write for longer than it wants to wait: what
 * comes later waits as long as it takes.
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

/** One read, if no patch is under way. */
async function hasDead(store: Store): Promise<boolean> {
  const unfinished = store.patches.unfinished();
  if (unfinished.length === 0) return false;
  const { isUnderWay } = await import('../manager/rollout/lock.ts');
  return unfinished.some(({ templateId }) => !isUnderWay(store.root, templateId));
}

/** For a command that reads: while another one writes, what died stays as it is for now. */
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
  // It may have died while it composed a stack.
  await sweepScratchEnvs(store);
  for (const { id, kind, template, state } of await recoverPatches(store)) {
    const how = state === 'undone' ? 'taken back' : 'finished';
    sayLines(`byref: ${kind} ${id} of ${template}, whose process had died, was ${how}`);
  }
}
