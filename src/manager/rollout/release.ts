/** Lets packages that a patch kept back in an env for others follow its templates again, outside of any patch. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import type { FileAction, Policy } from '../../codec/patch-record.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import type { OwnPackage } from '../merge/packages.ts';
import { actInEnv } from './act-in-env.ts';
import type { Trial } from './complete.ts';
import { planEnv } from './env-plan.ts';
import { unmade } from './file-action.ts';

/** The number in place of a patch's, because no patch does this. */
const NO_PATCH = 0;

/** The outcome of releasePackages(). */
export interface Released {
  /** Names of packages that follow again. */
  readonly packages: readonly string[];
  /** How many names were left out, because the env changed them meanwhile, or has them open for writing. */
  readonly left: number;
  /** Packages that stay the env's own. */
  readonly own: readonly OwnPackage[];
  /** Dependencies that are not met now, in apt's words. */
  readonly unmet: readonly string[];
}

/** Options of releasePackages(). */
export interface ReleaseOptions {
  /** No policies if not given: then nothing follows that would break a package of the env's own. */
  readonly policies?: readonly Policy[];
  /** The packages that apt found it can bring along once they follow. By default there was no trial. */
  readonly trial?: Trial;
}

/** Lets all packages follow again that can. The store is open for writing. @throws ByrefError as actInEnv() */
export async function releasePackages(
  store: Store,
  row: EnvRow,
  { policies = [], trial = NOT_TRIED }: ReleaseOptions = {},
): Promise<Released> {
  const stack = store.resolveStack(row);
  const move = { row, change: store.diffStacks(stack, stack) };
  const completing = { trial, brought: null };
  const plan = await planEnv(store, move, { patch: NO_PATCH, policies, restores: [], completing });
  const { acts = [], released = [], own = [], unmet = [] } = plan ?? {};
  try {
    const left = released.length === 0 ? 0 : await make(store, row, acts);
    return { packages: released, left, own, unmet };
  } finally {
    for (const { file } of acts)
      if (file !== undefined) rmSync(path.join(envDir(store.root, row.id), file), { force: true });
  }
}

const NOT_TRIED: Trial = { why: 'it was not tried' };

/** @returns how many names were left out */
async function make(store: Store, row: EnvRow, acts: readonly FileAction[]): Promise<number> {
  let left = 0;
  for (const act of unmade(inOrder(acts), NO_PATCH)) {
    const result = await actInEnv(store, row, act);
    if (result.error !== 0) throw failed(row, result.error);
    left += result.left ?? 0;
  }
  return left;
}

/** Puts files before records: if the process dies in between, the package is still known as one that is to follow. */
const inOrder = (acts: readonly FileAction[]): FileAction[] => [
  ...acts.filter(({ what }) => what === 'steps'),
  ...acts.filter(({ what }) => what === 'updated'),
];

function failed({ name }: EnvRow, error: number): ByrefError {
  const message = `${name}: its packages could not follow again (errno ${-error})`;
  return new ByrefError('error', message, 'What was made stays. Run it again.');
}
