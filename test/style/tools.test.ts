import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { run, TREE } from '../support/machine/program.ts';

/** Tools that enforce docs/internals/ARCHITECTURE.md's import rules and the layout of the code, one test each. */
const TOOLS: Record<string, readonly string[]> = {
  'layout and imports are as biome puts them': ['biome', 'check', '--error-on-warnings', '.'],
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

/** What scripts/check-types.mjs found. */
let found: { readonly types: string; readonly lint: string };

beforeAll(async () => {
  const { stdout, stderr } = await run(
    process.execPath,
    [path.join(TREE, 'scripts/check-types.mjs')],
    { timeout: TIMEOUT_MS },
  );
  expect(stdout, stderr).not.toBe('');
  found = JSON.parse(stdout) as typeof found;
}, TIMEOUT_MS);

test('types check', () => expect(found.types).toBe(''));

test('eslint finds no unsafe or floating value', () => expect(found.lint).toBe(''));
