/**
 * Keeps the name of a template for one kind while a version of it is made, which may take long: at its end it would be refused if
 * somebody else had made a template of the other kind meanwhile.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import type { TemplateKind } from '../../codec/store-rows.ts';
import { isHeld, LockFile, signer } from '../../store/file-lock.ts';
import { BRIEF, describeProcess, waitUntil } from '../../store/patience.ts';
import { metaDir } from '../../store/root.ts';

const KINDS: readonly TemplateKind[] = ['os', 'app'];

/** Runs `work`, beside others that make a version of the same name and kind. @throws ByrefError 'busy' */
export async function withName<T>(
  root: string,
  name: string,
  kind: TemplateKind,
  work: () => Promise<T>,
): Promise<T> {
  const lockOf = (of: TemplateKind): string => path.join(metaDir(root), `name-${name}.${of}.lock`);
  const file = new LockFile(lockOf(kind));
  try {
    // Whoever asks if it is held has it alone for a moment.
    await waitUntil(
      () => file.try('shared'),
      () => name,
      BRIEF,
    );
    // Ours first: of two that come at the same time, one at least sees the other.
    for (const other of KINDS.filter((each) => each !== kind).map(lockOf)) {
      if (isHeld(other, 'at-all')) throw taken(name, other);
    }
    return await work();
  } finally {
    if (file.try('exclusive')) rmSync(lockOf(kind), { force: true });
    file.close();
  }
}

function taken(name: string, lock: string): ByrefError {
  const message = `${describeProcess(signer(lock))} is making ${name}, as a template of the other kind`;
  return new ByrefError('busy', message, 'Choose another name.');
}
