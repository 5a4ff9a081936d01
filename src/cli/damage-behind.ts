import { ByrefError } from '../base/error.ts';
import { rootInUse } from './root.ts';

/**
 * Returns the error to report for one that nobody foresaw: damage, if the root has any that a check finds, since what is
 * damaged leads to errors in any place; else the error itself, which is a bug.
 */
export async function damageBehind(error: unknown): Promise<unknown> {
  const root = rootInUse();
  if (error instanceof ByrefError || root === null) return error;
  try {
    const { fsck } = await import('../manager/upkeep/fsck/fsck.ts');
    const { findings } = await fsck(root, { full: false, repair: false });
    const found = findings.find(({ severity }) => severity === 'error');
    if (found === undefined) return error;
    const hint = `Run byref fsck, which names all that is damaged. Of this: ${found.remedy}.`;
    return new ByrefError('corrupt', `${found.where} is damaged: ${found.what}`, hint);
  } catch {
    return error;
  }
}
