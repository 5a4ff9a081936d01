import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cleanup } from './cleanup.ts';
import { type Options, parseOptions, USAGE } from './options.ts';
import { allowRuns, interruptRuns } from './process.ts';
import { markdown } from './report.ts';
import { describeMachine, type Results } from './results.ts';
import { runBacking } from './run-backing.ts';

async function bench(options: Options, cleanup: Cleanup): Promise<void> {
  const results: Results = { format: 1, machine: describeMachine(), backings: [] };
  for (const kind of options.backings) {
    const backing = await runBacking(kind, options, cleanup);
    if (backing) results.backings.push(backing);
    // After each: a run that is ended early has what it had finished.
    if (options.out !== undefined) writeResults(options.out, results);
    await cleanup.run();
  }
}

function writeResults(dir: string, results: Results): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(dir, 'results.md'), markdown(results));
  console.log(`\nwrote ${dir}/results.json and results.md`);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (process.getuid?.() !== 0) throw new Error('mounting needs root: run it as root');
  const cleanup = new Cleanup();
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Heard once, and never left to its default: timeout(1) and terminals send it twice.
    process.on(signal, () => {
      if (!asked) interruptRuns(`ended by ${signal}`);
      asked = true;
    });
  }
  try {
    await bench(options, cleanup);
  } finally {
    allowRuns();
    await cleanup.run();
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
