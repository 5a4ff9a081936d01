import { closeSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { lockOwner, takeProcessLock } from '../../ipc/process-lock.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import { describeProcess, waitUntil } from '../../store/patience.ts';
import type { Store } from '../../store/store.ts';

/** The right to move a template's versions; it ends with the process that has it. */
export interface PatchLock {
  /** Once is enough, more do no harm. */
  release(): void;
}

const lockFile = (run: RunDir, templateId: number): string =>
  path.join(run.path, `patch-${templateId}.lock`);

/** Null while another process has it. */
export function tryPatchLock(root: string, templateId: number): PatchLock | null {
  const run = new RunDir(root);
  run.create();
  const fd = takeProcessLock(lockFile(run, templateId));
  if (fd === null) return null;
  let held = true;
  return {
    release() {
      if (held) closeSync(fd);
      held = false;
    },
  };
}

export function isUnderWay(root: string, templateId: number): boolean {
  const lock = tryPatchLock(root, templateId);
  lock?.release();
  return lock === null;
}

/**
 * Waits for another patch of the template, with the store left to it: so what was read before may have changed.
 * @throws ByrefError 'locked' while another process has it for longer than `store.waiting`
 */
export async function takePatchLock(
  store: Store,
  template: { readonly id: number; readonly name: string },
): Promise<PatchLock> {
  const holder = (): string => {
    const pid = lockOwner(lockFile(new RunDir(store.root), template.id));
    return `${describeProcess(pid || null)}, which is patching ${template.name}`;
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
