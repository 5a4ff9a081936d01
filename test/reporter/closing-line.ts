import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { RunDirectory } from './leaks.ts';

/** How long what a test stopped may take to be gone. */
const LEAK_GRACE_MS = 3_000;

/**
 * After vitest's own report: a leak check, then one closing line that a counter can read, alone and
 * last: `N passed, N failed`, with `, N skipped` if any were. A module that failed to load, a failed hook, an
 * unhandled error and a leak count as one failure each.
 */
export default class ClosingLineReporter implements Reporter {
  private readonly run = new RunDirectory();
  private counts = { passed: 0, failed: 0, skipped: 0 };

  constructor() {
    process.once('exit', () => writeSync(1, `\n${this.closingLine()}\n`));
    // scripts/test.sh ends a run that hangs.
    process.once('SIGTERM', () => {
      console.error('ended before all tests had run');
      this.counts.failed++;
      process.exit(1);
    });
  }

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state !== 'pending') this.counts[state]++;
  }

  async onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly SerializedError[],
  ): Promise<void> {
    const unfinished = modules.flatMap((module) => [...module.children.allTests('pending')]);
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
    const broken = suites.filter((suite) => suite.errors().length > 0);
    this.counts.failed += errors.length + unfinished.length + broken.length;
    await this.checkLeaks();
  }

  private async checkLeaks(): Promise<void> {
    const deadline = Date.now() + LEAK_GRACE_MS;
    let leaks = this.leaks();
    while (leaks.length > 0 && Date.now() < deadline) {
      await sleep(100);
      leaks = this.leaks();
    }
    if (leaks.length === 0) {
      this.run.remove();
      return;
    }
    for (const leak of leaks) console.error(`leaked: ${leak}`);
    console.error(`left for inspection: ${this.run.path}`);
    this.counts.failed++;
    process.exitCode = 1;
  }

  private leaks(): string[] {
    return [
      ...this.run.mounts().map((mountpoint) => `mount ${mountpoint}`),
      ...this.run.processes().map((line) => `process ${line}`),
    ];
  }

  private closingLine(): string {
    const { passed, failed, skipped } = this.counts;
    const line = `${passed} passed, ${failed} failed`;
    return skipped > 0 ? `${line}, ${skipped} skipped` : line;
  }
}
