/** Packages that a patch kept for others in an env follow its templates again, outside of any patch. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import type { PatchAct } from '../codec/patch-record.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { actNow } from './act-now.ts';
import { toMake } from './acts.ts';
import { planEnv } from './env-plan.ts';

/** Of no patch. */
const NO_PATCH = 0;

export interface Released {
  /** Names of packages that follow again. */
  readonly packages: readonly string[];
  /** Names that were left out, because the env changed them meanwhile, or has them open for writing. */
  readonly left: number;
}

/** The store is open for writing. @throws ByrefError as actNow() */
export async function releasePackages(store: Store, row: EnvRow): Promise<Released> {
  const stack = store.resolveStack(row);
  const move = { row, change: store.change(stack, stack) };
  const plan = await planEnv(store, move, { patch: NO_PATCH, policies: [], restores: [] });
  const acts = plan === null ? [] : inOrder(plan.acts);
  let left = 0;
  try {
    if (plan === null || plan.released.length === 0) return { packages: [], left };
    for (const act of toMake(acts, NO_PATCH)) {
      const result = await actNow(store, row, act);
      if (result.error !== 0) throw failed(row, result.error);
      left += result.left ?? 0;
    }
    return { packages: plan.released, left };
  } finally {
    for (const { file } of acts)
      if (file !== undefined) rmSync(path.join(envDir(store.root, row.id), file), { force: true });
  }
}

/** Files before records: where it ends in between, the package is still known as one that is to follow. */
const inOrder = (acts: readonly PatchAct[]): PatchAct[] => [
  ...acts.filter(({ what }) => what === 'steps'),
  ...acts.filter(({ what }) => what === 'updated'),
];

function failed({ name }: EnvRow, error: number): ByrefError {
  const message = `${name}: its packages could not follow again (errno ${-error})`;
  return new ByrefError('error', message, 'What was made stays. Run it again.');
}
