import { beforeAll, expect, test } from 'vitest';
import { posixSuite } from './index.ts';
import { runSuite, type SuiteName } from './run.ts';
import type { CaseReport } from './runner.ts';
import { templateSuite } from './template/index.ts';

const SUITE_TIMEOUT_MS = 300_000;
const suites = { posix: posixSuite, template: templateSuite };

/**
 * Declares one vitest test per case. The suite runs once, before them, on the directory that
 * `directory` makes.
 */
export function declareSuite(
  suite: SuiteName,
  directory: () => string | Promise<string>,
  onHang?: () => void,
): void {
  let reports: ReadonlyMap<string, CaseReport>;
  beforeAll(async () => {
    reports = await runSuite(suite, await directory(), onHang);
  }, SUITE_TIMEOUT_MS);
  for (const name of suites[suite].keys()) {
    test(name, () => {
      const report = reports.get(name);
      if (!report) expect.fail('did not run: an earlier case hung or ended the process');
      if (report.error !== null) expect.fail(report.error);
    });
  }
}
