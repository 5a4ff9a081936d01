import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take longest, the longest first, by their path in test/. A file that begins last is waited for by workers that have nothing
 * more to do; what is small to read is not always quick to run, which is what vitest takes it for.
 */
const SLOW = [
  'packages/dependencies.test.ts',
  'build/app.test.ts',
  'programs/programs.test.ts',
  'style/tools.test.ts',
  'build/os.test.ts',
  'packages/administrator.test.ts',
  'patch/crash-stages.test.ts',
  'env/unwritten.test.ts',
  'compose/interrupted.test.ts',
  'patch/crash.test.ts',
  'model/model.test.ts',
  'compose/patch.test.ts',
  'env/unwritten-no-passthrough.test.ts',
  'packages/own.test.ts',
  'programs/apps.test.ts',
  'programs/patch.test.ts',
  'patch/apps.test.ts',
  'compose/patch-apps.test.ts',
  'power/cut.test.ts',
  'run/crash.test.ts',
  'patch/flip.test.ts',
  'patch/flip-many.test.ts',
  'packages/touched.test.ts',
  'packages/dependency-histories.test.ts',
  'daemon/daemon.test.ts',
  'run/fleet.test.ts',
  'run/clone.test.ts',
  'suite/limited.test.ts',
  'compose/compose.test.ts',
  'build/side-by-side.test.ts',
  'patch/patch.test.ts',
  'packages/histories.test.ts',
  'run/life-cycle.test.ts',
  'run/io-limits.test.ts',
  'daemon/crash.test.ts',
  'run/names.test.ts',
  'run/many.test.ts',
  'run/places.test.ts',
  'run/volumes.test.ts',
  'run/services.test.ts',
  'compose/patch-plan.test.ts',
  'suite/no-passthrough.test.ts',
  'suite/passthrough.test.ts',
  'fsck/store-damages.test.ts',
  'build/full-disk.test.ts',
  'run/limits.test.ts',
  'fuse-native/suite.test.ts',
  'patch/gc.test.ts',
  'delta/crash.test.ts',
  'template/crash.test.ts',
  'support/packages/apt-repo.test.ts',
  'env/lifecycle.test.ts',
  'run/isolation.test.ts',
  'env/busy.test.ts',
  'cli/progress.test.ts',
  'packages/replaces.test.ts',
];

const TESTS = path.resolve(import.meta.dirname, '..');

/** Begins the slow files first, and the others as vitest does. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = SLOW.indexOf(path.relative(TESTS, moduleId));
      return at < 0 ? SLOW.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
