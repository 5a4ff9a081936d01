import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take longest, the longest first, by their path in test/. A file that begins last is waited for by workers that have nothing
 * more to do; what is small to read is not always quick to run, which is what vitest takes it for.
 */
const SLOW = [
  'packages/dependencies.test.ts',
  'programs/programs.test.ts',
  'build/app.test.ts',
  'programs/apps.test.ts',
  'model/model.test.ts',
  'programs/patch.test.ts',
  'build/os.test.ts',
  'patch/flip-many.test.ts',
  'packages/administrator.test.ts',
  'style/tools.test.ts',
  'run/fleet.test.ts',
  'backup/move.test.ts',
  'run/move-live.test.ts',
  'run/move.test.ts',
  'run/move-hosts.test.ts',
  'daemon/daemon.test.ts',
  'compose/patch-plan.test.ts',
  'env/unwritten-no-passthrough.test.ts',
  'suite/passthrough.test.ts',
  'packages/own.test.ts',
  'compose/patch.test.ts',
  'run/systemd.test.ts',
  'env/unwritten.test.ts',
  'run/life-cycle.test.ts',
  'compose/patch-apps.test.ts',
  'packages/touched.test.ts',
  'fsck/store-damages.test.ts',
  'patch/apps.test.ts',
  'build/full-disk.test.ts',
  'fuse-native/suite.test.ts',
  'run/checkpoint.test.ts',
  'run/isolation.test.ts',
  'compose/interrupted.test.ts',
  'packages/replaces.test.ts',
  'compose/compose.test.ts',
  'template/crash.test.ts',
  'packages/dependency-histories.test.ts',
  'patch/gc.test.ts',
  'patch/flip.test.ts',
  'build/side-by-side.test.ts',
  'fsck/crashes.test.ts',
  'run/volumes.test.ts',
  'power/cut.test.ts',
  'power/patches.test.ts',
  'run/places.test.ts',
  'suite/no-passthrough.test.ts',
  'delta/crash.test.ts',
  'run/names.test.ts',
  'patch/patch.test.ts',
  'env/lifecycle.test.ts',
  'compose/union.test.ts',
  'suite/limited.test.ts',
  'template/import.test.ts',
  'run/services.test.ts',
  'backup/backup.test.ts',
  'backup/move.test.ts',
  'backup/snapshots.test.ts',
  'env/clone.test.ts',
  'daemon/crash.test.ts',
  'suite/oracle.test.ts',
  'fsck/healthy.test.ts',
  'packages/busy.test.ts',
  'env/first-mount.test.ts',
  'driver/quota/count.test.ts',
  'env/busy.test.ts',
  'run/clone.test.ts',
  'backup/histories.test.ts',
  'backup/backup-all.test.ts',
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
