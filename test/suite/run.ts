import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { CaseReport } from './runner.ts';

export type SuiteName = 'posix' | 'template';

const RUNNER = new URL('./runner.ts', import.meta.url).pathname;
/** A case that says nothing for so long hangs, most likely in the kernel. */
const SILENCE_MS = 60_000;

/**
 * Runs a suite on `dir` in a child process; reports by case name. If a case hangs or ends the child,
 * its report says so, and those after it have none.
 */
export function runSuite(suite: SuiteName, dir: string): Promise<ReadonlyMap<string, CaseReport>> {
  const reports = new Map<string, CaseReport>();
  const child = spawn(process.execPath, ['--import', 'tsx', RUNNER, suite, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let current = '';
  const giveUp = (): void => void child.kill('SIGKILL');
  let watchdog = setTimeout(giveUp, SILENCE_MS);
  createInterface({ input: child.stdout }).on('line', (line) => {
    clearTimeout(watchdog);
    watchdog = setTimeout(giveUp, SILENCE_MS);
    const report = JSON.parse(line) as CaseReport | { starting: string };
    if ('starting' in report) {
      current = report.starting;
    } else {
      reports.set(report.name, report);
      current = '';
    }
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      const error = `ended the process, or hung: code ${code}, signal ${signal}`;
      if (current) reports.set(current, { name: current, milliseconds: 0, error });
      resolve(reports);
    });
  });
}

/** Which template's part of the fixture. */
export type FixtureKind = 'os' | 'app';

const FIXTURE = new URL('./fixture-main.ts', import.meta.url).pathname;

/** Builds the template cases' trees in `dir`, by a process of its own. */
export function buildFixture(kind: FixtureKind, dir: string): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', FIXTURE, kind, dir], {
    stdio: 'inherit',
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`fixture ${kind}: exit code ${code}`));
    });
  });
}
