/** Plans what a patch, or the way back, does in one env: packages are decided as a whole, other files one by one. */
import { PERM_MASK } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { CompletedPackages, FileAction } from '../../codec/patch-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import { makeStep } from '../../codec/steps.ts';
import { withOwnAttributes } from '../../driver/core/own-attributes.ts';
import { LOOKED_UP_MAX, namesIn } from '../../driver/core/own-names.ts';
import type { DeltaName } from '../../driver/core/ports.ts';
import type { DiffEntry, TreeDiff } from '../../driver/core/tree-diff.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import type { Store } from '../../store/store.ts';
import type { OwnPackage } from '../merge/packages.ts';
import { administeredSteps } from '../packages/administered.ts';
import { type Completing, type Decided, decideCompleting } from './decide-completing.ts';
import { dependencyPolicyOf } from './dependency-policy.ts';
import { withView } from './meets.ts';
import type { EnvMove } from './moves.ts';
import { takenPackages } from './package-policy.ts';
import { type DraftOptions, PlanDraft, placeOf } from './plan-draft.ts';
import { planName } from './plan-files.ts';
import {
  planCoveredDirs,
  planReplaced,
  planSamePackages,
  releasePackages,
  takePackages,
} from './plan-packages.ts';

/** The work of a patch in one env: what it makes before the flip and with it, and what becomes of packages. */
export interface EnvPlan {
  readonly acts: readonly FileAction[];
  /** Name, in the env's directory, of the file with the steps to make before the env sees the new versions; null: no steps. */
  readonly before: string | null;
  /** Packages that stay the env's own. */
  readonly own: readonly OwnPackage[];
  /** Names of packages that were kept back because packages of the env's own need them, and that follow again. */
  readonly released: readonly string[];
  /** Dependencies that are no longer met, in apt's words. */
  readonly unmet: readonly string[];
  /** Why apt could not judge the dependencies; null if it could, or did not have to. */
  readonly unjudged: string | null;
  /** The packages that apt is to bring along once the env has moved, or why it can't; null if it does not have to. */
  readonly completion: CompletedPackages | null;
}

/** The facts of a patch that planEnv() needs. */
export interface PlanOptions extends DraftOptions {
  /** How far the policy `complete` has got. By default: it was not tried yet, and nothing is taken back. */
  readonly completing?: Completing;
}

/** Plans one env's move; null if there is nothing to do. Writes files into the env's directory, and changes nothing else. */
export const planEnv = (
  store: Store,
  move: EnvMove,
  options: PlanOptions,
): Promise<EnvPlan | null> =>
  withView(store, move.row, async (view) => {
    if (view === null) return null;
    const env = { store, view, ...move };
    const taken = takenPackages(options.policies);
    const policy = dependencyPolicyOf(options.policies, move.row);
    const { completing = { trial: null, brought: null } } = options;
    const decided = await decideCompleting(env, { taken }, policy, completing);
    return planAll(new PlanDraft(env, decided.verdict, options), decided);
  });

/** Plans packages before single names, since what a package decides is not asked again for its files. */
async function planAll(draft: PlanDraft, decided: Decided): Promise<EnvPlan | null> {
  const { packages, options } = draft;
  const back = options.restores.filter(({ what }) => what === 'restored');
  for (const act of back) draft.seen.add(placeOf(act));
  const administered = await administeredSteps(draft);
  for (const place of administered.places) draft.seen.add(place);
  draft.steps.push(...packages.after, ...administered.steps);
  const replaced = await planReplaced(draft);
  await takePackages(draft);
  await releasePackages(draft);
  for (const { change, own } of ownNames(draft.view, draft.change))
    await planName(draft, change, own);
  await planCoveredDirs(draft);
  planTouchedDirs(draft);
  await planSamePackages(draft);
  draft.steps.push(...draft.relinks.steps);
  // A file that can't be put back may still be merged.
  const planned = new Set(draft.acts.map(placeOf));
  const acts = [...options.restores.filter((act) => !planned.has(placeOf(act))), ...draft.acts];
  // Last, because the directories of a package that is taken can go only when its files have been set aside.
  if (draft.steps.length > 0) acts.push(draft.stepsAction(draft.steps));
  const first = [...packages.before, ...administered.before, ...replaced];
  const before = first.length === 0 ? null : draft.write('keep', first);
  const { own } = packages;
  const { verdict, completion } = decided;
  const { unmet = [], unable: unjudged = null } = verdict ?? {};
  const isNothing = acts.length === 0 && before === null && own.length === 0;
  if (isNothing && unmet.length === 0 && unjudged === null) return null;
  const released = packages.released.map(({ name }) => name);
  return { acts, before, own, released, unmet, unjudged, completion };
}

/** Brings directories of which the env has a record to the new attributes. Attributes that the env has set stay. */
function planTouchedDirs(draft: PlanDraft): void {
  for (const { dir, name, was, is } of draft.change.of('kept')) {
    if (was === null || is === null || sameAttributes(was, is)) continue;
    const own = draft.view.inode(is.ino);
    if (own === null || own.nlink === 0) continue;
    const next = withOwnAttributes(was, own, is, { sec: 0, nsec: 0 }) ?? is;
    if (sameAttributes(own, next)) continue;
    const { mode, uid, gid } = next;
    const xattrs = [...(next.xattrs ?? [])].map(
      ([key, value]) => [key, value.toString('base64')] as const,
    );
    const attributes = { mode: mode & PERM_MASK, uid, gid, xattrs };
    draft.steps.push({ ...makeStep('dress', { dir, name }, is.ino), source: is.ino, attributes });
  }
}

const sameAttributes = (a: InodeRecord, b: InodeRecord): boolean =>
  a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && sameXattrs(a.xattrs, b.xattrs);

/** Yields the changed names that the env has its own entry for, or has removed. */
function* ownNames(
  view: DeltaView,
  change: TreeDiff,
): Generator<{ change: DiffEntry; own: DeltaName }> {
  for (const [dir, names] of change.byDir) {
    if (names.size <= LOOKED_UP_MAX) {
      for (const each of names.values()) {
        const own = view.name(dir, each.name);
        if (own !== null) yield { change: each, own };
      }
      continue;
    }
    for (const own of namesIn(view, dir)) {
      const each = names.get(own.name);
      if (each !== undefined) yield { change: each, own };
    }
  }
}
