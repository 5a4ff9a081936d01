import { beforeAll, expect, test } from 'vitest';
import { posixSuite } from './index.ts';
import { runSuite, type SuiteName } from './run.ts';
import type { CaseReport } from './runner.ts';
import { templateSuite } from './template/index.ts';

const SUITE_TIMEOUT_MS = 300_000;
const suites = { posix: posixSuite, template: templateSuite };

/** Cases that must fail, by the name of what the file system lacks. */
export type Exceptions = Readonly<Record<string, readonly string[]>>;

/**
 * Declares one vitest test per case. The suite runs once, before them, on the directory that
 * `directory` makes. A case that is excepted has to fail: the list stays true.
 */
export function declareSuite(
  suite: SuiteName,
  directory: () => string | Promise<string>,
  exceptions: Exceptions = {},
): void {
  let reports: ReadonlyMap<string, CaseReport>;
  beforeAll(async () => {
    reports = await runSuite(suite, await directory());
  }, SUITE_TIMEOUT_MS);
  for (const name of suites[suite].keys()) {
    const lack = Object.keys(exceptions).find((reason) => exceptions[reason]?.includes(name));
    test(lack === undefined ? name : `${name} (fails: ${lack})`, () => {
      const report = reports.get(name);
      if (!report) expect.fail('did not run: an earlier case hung or ended the process');
      if (lack !== undefined) expect(report.error).not.toBeNull();
      else if (report.error !== null) expect.fail(report.error);
    });
  }
}
