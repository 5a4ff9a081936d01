import { openStore, type Store } from '../store/store.ts';
import type { Context } from './command.ts';

/**
 * Runs `work` with the store open, and closes it whatever happens. A patch that died is ended first, so that no
 * command sees half of one.
 */
export async function withStore<T>(
  context: Context,
  mode: 'read' | 'write',
  work: (store: Store) => T | Promise<T>,
): Promise<T> {
  const store = await openStore(context.root, { write: mode === 'write' });
  try {
    if (store.patches.unfinished().length === 0) return await work(store);
    if (mode === 'write') {
      await recover(store);
      return await work(store);
    }
  } finally {
    await store.close();
  }
  await withStore(context, 'write', () => undefined);
  const again = await openStore(context.root, { write: false });
  try {
    return await work(again);
  } finally {
    await again.close();
  }
}

async function recover(store: Store): Promise<void> {
  const { recoverPatches } = await import('../patch/recover.ts');
  for (const { id, kind, template, state } of await recoverPatches(store)) {
    const how = state === 'undone' ? 'taken back' : 'finished';
    process.stderr.write(
      `byref: ${kind} ${id} of ${template}, whose process had died, was ${how}\n`,
    );
  }
}
