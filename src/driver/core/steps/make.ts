/**
 * Makes the steps of a patch (codec/steps.ts) in one env. A step is left out, and counted, if the name has changed
 * since the step was planned. A step that was made before changes nothing, so a list can be repeated after a
 * crash.
 */
import type { Step, StepKind } from '../../../codec/steps.ts';
import type { Core } from '../core.ts';
import type { DirEntryRef, LowerTree } from '../ports.ts';
import { StepChange } from './change.ts';
import { dissolve, release } from './dirs.ts';
import { dress } from './dress.ts';
import { hide, keep } from './pin.ts';
import { mask, place, put } from './place.ts';
import { relink, share } from './relink.ts';

/** Steps per change of the journal. */
const AT_ONCE = 256;

/** The result of a list of steps. */
export interface StepsOutcome {
  /** The result: 0, or -errno. Steps before the error were made, the others can be made later. */
  readonly error: number;
  /** Steps that were left out. */
  readonly left: number;
}

/**
 * Makes steps in the env, several in one change of the journal.
 * @param lower the lower tree that the env sees afterwards
 * @param touched receives the places that were changed
 */
export function makeSteps(
  core: Core,
  lower: LowerTree,
  steps: readonly Step[],
  touched: DirEntryRef[],
): StepsOutcome {
  const change = new StepChange(core, lower);
  let left = 0;
  for (const some of batches(steps)) {
    const made = some.filter((step) => MAKERS[step.kind](change, step));
    left += some.length - made.length - change.done;
    for (const { dir, name } of made) change.touched.push({ dir, name });
    const error = change.commit();
    if (error < 0) return { error, left };
    touched.push(...change.touched.splice(0));
  }
  return { error: 0, left };
}

/**
 * Orders the steps and splits them into changes of the journal. Files are placed after the other steps, under names
 * that those may have made free. Directories are released last, one by one, when nothing is left in them, those
 * inside a directory before it.
 */
function* batches(steps: readonly Step[]): Generator<readonly Step[]> {
  const placed = steps.filter(({ kind }) => kind === 'place');
  const others = steps.filter(({ kind }) => kind !== 'place' && kind !== 'release');
  for (const all of [others, placed]) {
    for (let at = 0; at < all.length; at += AT_ONCE) yield all.slice(at, at + AT_ONCE);
  }
  for (const each of steps) if (each.kind === 'release') yield [each];
}

/** Adds a step of each kind to the change. Returns false if there is nothing to do, or if it cannot be done. */
const MAKERS: Readonly<Record<StepKind, (change: StepChange, step: Step) => boolean>> = {
  keep,
  hide,
  relink,
  place,
  dissolve,
  release,
  share,
  put,
  mask,
  dress,
};
