/** Decides about the packages of one env at one step, from what the env, its templates and their next versions have. */
import type { DependencyPolicy } from '../../codec/patch-record.ts';
import { architecturesIn, decide, type PackageVerdict } from './dependencies.ts';
import { isFormerVersion } from './former-version.ts';
import { type EnvOnTheWay, type NextPackages, sidesOf } from './own-packages.ts';

/** Decides about all packages. Null: dpkg in the env says the same as in its templates, so all packages follow. */
export async function decideStep(
  env: EnvOnTheWay,
  next: NextPackages,
  policy: DependencyPolicy,
): Promise<PackageVerdict | null> {
  const sides = sidesOf(env, next);
  if (sides === null) return null;
  const { base, ours, theirs, tree, infoDir } = sides;
  const { view, change } = env;
  return decide(
    {
      base,
      ours,
      theirs,
      taken: next.taken,
      architectures: architecturesIn(tree, ours),
      isFormer: (template, mine) =>
        infoDir !== null && isFormerVersion({ view, lower: change.from, infoDir }, template, mine),
    },
    policy,
  );
}
