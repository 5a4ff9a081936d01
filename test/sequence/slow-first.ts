import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take longest, by their path in test/. A file that begins last is waited for by workers that have nothing
 * more to do; what is small to read is not always quick to run, which is what vitest takes it for.
 */
const SLOW = [
  'style/tools.test.ts',
  'programs/programs.test.ts',
  'programs/patch.test.ts',
  'programs/apps.test.ts',
  'patch/crash.test.ts',
  'patch/crash-stages.test.ts',
  'patch/flip.test.ts',
  'patch/flip-many.test.ts',
  'power/cut.test.ts',
  'compose/interrupted.test.ts',
  'packages/histories.test.ts',
  'packages/dependency-histories.test.ts',
  'packages/dependencies.test.ts',
  'packages/crash.test.ts',
  'model/model.test.ts',
  'env/unwritten.test.ts',
  'env/unwritten-no-passthrough.test.ts',
  'delta/crash.test.ts',
  'build/os.test.ts',
  'build/app.test.ts',
  'capture/review.test.ts',
  'capture/installers.test.ts',
  'fsck/crashes.test.ts',
  'fsck/command.test.ts',
  'suite/passthrough.test.ts',
  'suite/no-passthrough.test.ts',
  'fuse-native/suite.test.ts',
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
