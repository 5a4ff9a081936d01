import { execFile } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

/** The tools that enforce docs/internals/ARCHITECTURE.md's import rules and the house style, one test each. */
const TOOLS: Record<string, readonly string[]> = {
  'types check': ['tsc', '--noEmit'],
  'layout and imports are as biome puts them': ['biome', 'check', '--error-on-warnings', '.'],
  'eslint finds no unsafe or floating value': ['eslint', '--max-warnings', '0', '.'],
  'imports go one way, without cycles': ['depcruise', 'src', 'test', 'bench'],
};
const TREE = path.resolve(import.meta.dirname, '../..');
/** Type-aware linting of the whole tree, on a busy two-core machine. */
const TIMEOUT_MS = 240_000;

for (const [claim, [tool = '', ...args]] of Object.entries(TOOLS)) {
  test(claim, { timeout: TIMEOUT_MS }, async () => {
    const { code, output } = await run(path.join(TREE, 'node_modules/.bin', tool), args);
    expect(code, output).toBe(0);
  });
}

function run(file: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const options = { cwd: TREE, maxBuffer: 16 * 1024 * 1024 };
    const child = execFile(file, args, options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr });
    });
  });
}
