/**
 * A file action, in its three forms: what a policy chooses, what the record says (codec/patch-record.ts), and what a
 * driver is told (driver/core/set-aside.ts).
 *
 *     choice                 recorded as   a driver is told     made    the env changed the file meanwhile
 *     take                   taken         take                 taken   conflict
 *     merge                  merged        replace              merged  conflict
 *     merge (dpkg's record)  updated       replace, not saved   updated conflict
 *     (rollback)             restored      restore              restored  changed
 *     (many small changes)   steps         steps                steps   steps, with how many were left out
 *
 * What can't be done at all is recorded as `conflict`, done from the start. An action that failed otherwise is not done,
 * and the next command tries it again.
 */
import { EBUSY, ENOENT } from '../../base/errno.ts';
import type { Ino, Name } from '../../base/ids.ts';
import type { FileAction } from '../../codec/patch-record.ts';
import type { EnvAction, EnvActionResult } from '../../driver/core/set-aside.ts';

/** Returns the actions that are still to be made, in the form that a driver takes. */
export function unmade(acts: readonly FileAction[], patch: number): EnvAction[] {
  return acts.filter(({ done }) => !done).map((act) => envAct(act, patch));
}

function envAct(act: FileAction, patch: number): EnvAction {
  if (act.what === 'steps') return { what: 'steps', file: act.file ?? '' };
  const place = { dir: act.dir as Ino, name: act.name as Name };
  const seen = act.seen ?? null;
  if (act.what === 'restored') {
    const ino = (act.merged?.ino ?? 0) as Ino | 0;
    return { ...place, what: 'restore', patch: act.patch ?? patch, ino, file: null, seen };
  }
  const what = act.what === 'taken' ? 'take' : 'replace';
  const wanted = {
    ...place,
    what,
    patch,
    ino: act.ino as Ino,
    file: act.file ?? null,
    seen,
  } as const;
  return act.what === 'updated' ? { ...wanted, save: false } : wanted;
}

/** Returns the actions with their outcomes. @param results of the actions that unmade() returned, in the same order */
export function made(
  acts: readonly FileAction[],
  results: readonly EnvActionResult[],
): FileAction[] {
  let next = 0;
  return acts.map((act) => {
    if (act.done) return act;
    const result = results[next++];
    return result === undefined ? act : outcomeOf(act, result);
  });
}

function outcomeOf(act: FileAction, { error, ino, left = 0 }: EnvActionResult): FileAction {
  const { file: _file, seen: _seen, ...kept } = act;
  if (error === 0) {
    if (left > 0) return { ...kept, left, done: true };
    const isMerge = act.what === 'merged' || act.what === 'updated';
    const merged = isMerge && act.merged ? { ...act.merged, ino } : act.merged;
    return { ...kept, ...(merged === undefined ? {} : { merged }), done: true };
  }
  if (error === -EBUSY || error === -ENOENT) {
    const what = act.what === 'restored' ? 'changed' : 'conflict';
    return { ...kept, what, why: 'the env has changed it meanwhile', done: true };
  }
  return { ...act, why: `errno ${-error}` };
}
