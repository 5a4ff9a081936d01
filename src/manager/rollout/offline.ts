import { existsSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { createFileSystem } from '../../driver/core/filesystem.ts';
import type { KernelCaches } from '../../driver/core/ports.ts';
import { capabilities } from '../../driver/core/proc-capabilities.ts';
import type { EnvAction, EnvActionResult } from '../../driver/core/set-aside.ts';
import { openDelta } from '../../driver/delta/open-delta.ts';
import { fileCalls } from '../../native/file-calls.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';

const noKernel: KernelCaches = {
  knowsWalkers: false,
  expireAttributes: () => Promise.resolve(),
  forget: () => Promise.resolve(),
  drop: () => Promise.resolve(),
};

/**
 * Makes the actions in an env that is not mounted, over the versions that it sees according to the store. Null if another
 * process uses the env: it was mounted meanwhile, so its driver has to make them.
 */
export async function actOffline(
  store: Store,
  row: EnvRow,
  acts: readonly EnvAction[],
): Promise<readonly EnvActionResult[] | null> {
  const directory = envDir(store.root, row.id);
  if (!existsSync(directory)) return acts.map(() => ({ error: 0, ino: 0 }));
  const delta = await openOrNull(directory, store);
  if (delta === null) return null;
  try {
    const stack = store.resolveStack(row);
    const fs = createFileSystem({
      lower: store.lowerTree(stack),
      delta,
      blobs: delta.files,
      files: fileCalls,
      capabilities,
      passthrough: null,
      caches: noKernel,
    });
    const outcome = await fs.flip(store.diffStacks(stack, stack), acts);
    fs.keepDirs();
    fs.destroy();
    return outcome.acts;
  } finally {
    await delta.close();
  }
}

async function openOrNull(directory: string, store: Store) {
  try {
    return await openDelta(directory, { openObject: (id) => store.objects.open(id) });
  } catch (error) {
    if (error instanceof ByrefError && error.code === 'locked') return null;
    throw error;
  }
}
