import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { runAsNobody } from '../support/machine/nobody.ts';
import { run, TREE } from '../support/machine/program.ts';

const SETUP = path.join(TREE, 'scripts/setup.sh');
const TIMEOUT_MS = 120_000;

const setup = (file: string, args: readonly string[], env = process.env) =>
  run(file, args, { env, cwd: '/', timeout: TIMEOUT_MS });

describe('scripts/setup.sh', () => {
  // Brings this tree up to date, whoever changed it last.
  beforeAll(() => setup('bash', [SETUP]), TIMEOUT_MS);

  test('has nothing to do, and says nothing, the second time', async () => {
    const { code, stdout, stderr } = await setup('bash', [SETUP]);
    // But for what an old kernel costs.
    const said = stdout.replaceAll(/^note: .*\n/gm, '');
    expect({ code, said, stderr }).toEqual({ code: 0, said: '', stderr: '' });
  });

  test('tells who is not root what to do', async () => {
    const { code, stderr } = await runAsNobody(['bash', 'scripts/setup.sh']);
    expect(stderr).toContain('run this again as root');
    expect(code).toBe(EXIT.unsupported);
  });

  test.each([
    ['node', 'echo 18.20.0', 'Node.js 18.20.0 is too old'],
    ['uname', '[ "$1" = -s ] && echo Linux || echo 4.19.0-26-amd64', 'Linux 4.19.0 is too old'],
    ['uname', 'echo Darwin', 'this is Darwin, not Linux'],
    ['unshare', 'exit 1', 'mounting is not permitted'],
  ])('refuses a machine whose %s says: %s', async (program, script, sentence) => {
    const { code, stderr } = await setup('bash', [SETUP], withProgram(program, script));
    expect(stderr).toContain(sentence);
    expect(code).toBe(EXIT.unsupported);
  });

  test('says what an old kernel costs, and goes on', async () => {
    const env = withProgram('uname', '[ "$1" = -s ] && echo Linux || echo 6.1.0-18-amd64');
    const { code, stdout } = await setup('bash', [SETUP], env);
    expect(stdout).toContain('no FUSE passthrough');
    expect(stdout).toContain("can't expire names at once");
    expect(code).toBe(EXIT.ok);
  });

  test('an option it does not know is an error', async () => {
    const { code, stderr } = await setup('bash', [SETUP, '--everything']);
    expect(stderr).toContain('unknown option --everything');
    expect(code).toBe(EXIT.error);
  });
});

/** An environment in which a program answers as another machine's would. */
function withProgram(name: string, script: string): NodeJS.ProcessEnv {
  const directory = mkdtempSync(path.join(tmpdir(), 'byref-path-'));
  const file = path.join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` };
}
