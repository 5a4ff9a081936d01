import { closeSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { lockOwner, takeProcessLock } from '../control/process-lock.ts';
import { RunDir } from '../control/run-dir.ts';

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

/** @throws ByrefError 'locked' while another process has it */
export function takePatchLock(root: string, template: { id: number; name: string }): PatchLock {
  const lock = tryPatchLock(root, template.id);
  if (lock !== null) return lock;
  const pid = lockOwner(lockFile(new RunDir(root), template.id));
  const message = `process ${pid} is patching ${template.name}`;
  throw new ByrefError('locked', message, 'Wait until it has finished: see byref history.');
}
