/**
 * Runs cases on a directory, and prints one JSON line each: `runner.ts posix DIR [FILTER]` makes a
 * fresh directory per case; `runner.ts template ROOT [FILTER]` runs on a provisioned fixture. It is a
 * process of its own because a case may hang in the kernel, change ids or the working directory.
 */
import fs from 'node:fs';
import path from 'node:path';
import { contextFor } from './case.ts';
import { posixSuite } from './index.ts';
import { templateSuite, treeOf } from './template/index.ts';

export interface CaseReport {
  readonly name: string;
  readonly milliseconds: number;
  /** The failure with its stack, or null. */
  readonly error: string | null;
}

const print = (value: CaseReport | { starting: string }): void => {
  fs.writeSync(1, `${JSON.stringify(value)}\n`);
};

async function runCase(name: string, run: () => void | Promise<void>): Promise<void> {
  print({ starting: name });
  const start = performance.now();
  let error: string | null = null;
  try {
    await run();
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  process.chdir('/');
  print({ name, milliseconds: Math.round(performance.now() - start), error });
}

async function runPosix(dir: string, wanted: (name: string) => boolean): Promise<void> {
  let count = 0;
  for (const [name, run] of posixSuite) {
    if (!wanted(name)) continue;
    const own = path.join(dir, `case-${process.pid}-${count++}`);
    await runCase(name, () => {
      fs.mkdirSync(own, { mode: 0o755 });
      return run(contextFor(own));
    });
    clear(own);
  }
}

/** A failed case may leave what can't be removed; that is no reason to skip the rest. */
function clear(dir: string): void {
  try {
    fs.rmSync(dir, { recursive: true, force: true });
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
  }
}

async function runTemplate(root: string, wanted: (name: string) => boolean): Promise<void> {
  for (const [name, run] of templateSuite) {
    if (wanted(name)) await runCase(name, () => run(contextFor(path.join(root, treeOf(name)))));
  }
}

const [, , suite = '', dir = '.', filter = ''] = process.argv;
const suites = { posix: runPosix, template: runTemplate };
if (!(suite in suites)) throw new Error('usage: runner.ts posix|template DIR [FILTER]');
process.umask(0o022);
await suites[suite as keyof typeof suites](fs.realpathSync(dir), (name) => name.includes(filter));
