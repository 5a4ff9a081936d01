/**
 * Reserves a template's name for one kind while a version of it is being made. That may take long, and would be
 * refused in the end if another process had made a template of the other kind meanwhile.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import type { TemplateKind } from '../../codec/store-rows.ts';
import { isHeld, LockFile, signer } from '../../native/lock-file.ts';
import { BRIEF, describeProcess, waitUntil } from '../../store/patience.ts';
import { metaDir } from '../../store/root.ts';

const KINDS: readonly TemplateKind[] = ['os', 'app'];

/**
 * Runs `work` with the name reserved. Others may make versions of the same name and kind at the same time.
 * @throws ByrefError 'busy' if another process makes a template of the other kind
 */
export async function withName<T>(
  root: string,
  name: string,
  kind: TemplateKind,
  work: () => Promise<T>,
): Promise<T> {
  const lockOf = (of: TemplateKind): string => path.join(metaDir(root), `name-${name}.${of}.lock`);
  const file = new LockFile(lockOf(kind));
  try {
    // A process that asks whether the lock is held has it exclusively for a moment.
    await waitUntil(
      () => file.try('shared'),
      () => name,
      BRIEF,
    );
    file.sign();
    // Our own lock first: of two processes that come at the same time, at least one sees the other.
    for (const other of KINDS.filter((each) => each !== kind).map(lockOf)) {
      if (isHeld(other, 'at-all')) throw taken(name, other);
    }
    return await work();
  } finally {
    if (file.try('exclusive')) rmSync(lockOf(kind), { force: true });
    file.release();
  }
}

function taken(name: string, lock: string): ByrefError {
  const message = `${describeProcess(signer(lock))} is making ${name}, as a template of the other kind`;
  return new ByrefError('busy', message, 'Choose another name.');
}
