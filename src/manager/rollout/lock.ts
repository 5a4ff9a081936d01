import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import { type FileLock, isHeld, signer, tryLock } from '../../native/lock-file.ts';
import { describeProcess, waitUntil } from '../../store/patience.ts';
import type { Store } from '../../store/store.ts';

/** The right to move a template's versions. It ends with the process that holds it. */
export type PatchLock = FileLock;

const lockFile = (run: RunDir, templateId: number): string =>
  path.join(run.path, `patch-${templateId}.lock`);

/** Takes the lock of a template; returns null while another process has it. */
export function tryPatchLock(root: string, templateId: number): PatchLock | null {
  const run = new RunDir(root);
  run.create();
  return tryLock(lockFile(run, templateId));
}

/** Returns true while a process has the lock of the template. */
export const isUnderWay = (root: string, templateId: number): boolean =>
  isHeld(lockFile(new RunDir(root), templateId), 'exclusive');

/**
 * Takes the lock of a template. Waits for another patch of it, and lets others use the store meanwhile, so what was read
 * from the store before may have changed.
 * @throws ByrefError 'locked' if another process keeps it for longer than `store.waiting`
 */
export async function takePatchLock(
  store: Store,
  template: { readonly id: number; readonly name: string },
): Promise<PatchLock> {
  const holder = (): string => {
    const pid = signer(lockFile(new RunDir(store.root), template.id));
    return `${describeProcess(pid)}, which is patching ${template.name}`;
  };
  let lock = tryPatchLock(store.root, template.id);
  const works = (): boolean => {
    lock ??= tryPatchLock(store.root, template.id);
    return lock !== null;
  };
  if (lock === null) await store.pause(() => waitUntil(works, holder, store.waiting));
  if (lock !== null) return lock;
  const hint = 'Run this again when it has finished (see byref history), or wait: --wait 10m.';
  throw new ByrefError('locked', holder().replace(', which', ''), hint);
}
