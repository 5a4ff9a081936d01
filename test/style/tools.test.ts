import path from 'node:path';
import { expect, test } from 'vitest';
import { run, TREE } from '../support/machine/program.ts';

/** The tools that enforce docs/internals/ARCHITECTURE.md's import rules and the house style, one test each. */
const TOOLS: Record<string, readonly string[]> = {
  'types check': ['tsc', '--noEmit'],
  'layout and imports are as biome puts them': ['biome', 'check', '--error-on-warnings', '.'],
  'eslint finds no unsafe or floating value': ['eslint', '--max-warnings', '0', '.'],
  'imports go one way, without cycles': ['depcruise', 'src', 'test', 'bench'],
};
/** Type-aware linting of the whole tree takes minutes on a busy machine; a hang takes longer. */
const TIMEOUT_MS = 900_000;

for (const [claim, [tool = '', ...args]] of Object.entries(TOOLS)) {
  test(claim, { timeout: TIMEOUT_MS }, async () => {
    const file = path.join(TREE, 'node_modules/.bin', tool);
    const { code, stdout, stderr } = await run(file, args, { timeout: TIMEOUT_MS });
    expect(code, stdout + stderr).toBe(0);
  });
}
