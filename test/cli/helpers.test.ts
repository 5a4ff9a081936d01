/** Programs that byref runs for a command: if one fails or is killed, that is told, in its own words where it has some. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
let backup: string;

beforeAll(async () => {
  root = await TestRoot.create();
  const source = root.directory('source');
  writeFileSync(path.join(source, 'file'), 'text\n');
  await root.import('t', source);
  await root.create('e', 't');
  const at = await root.mount('e');
  await sh('echo own >own', [], { cwd: at });
  await root.umount();
  // cp copies what is no private file.
  mkdirSync(path.join(root.path, 'envs/1/volumes'));
  backup = path.join(root.base, 'e.backup');
  await root.ok('backup', 'e', backup);
});
afterAll(() => root.dispose());

/** Returns an environment in which this program is a script. */
function withHelper(program: string, script: string): NodeJS.ProcessEnv {
  const bin = path.join(root.base, `${program}-${script.length}`);
  mkdirSync(bin, { recursive: true });
  writeFileSync(path.join(bin, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { ...root.env, PATH: `${bin}:${process.env['PATH']}` };
}

const FAILS = 'echo "no such luck" >&2; exit 32';
const DIES = 'kill -KILL $$';

test.each([
  ['backup', 'tar', FAILS, 'the backup could not be written: no such luck'],
  ['backup', 'tar', DIES, 'the backup could not be written: tar: signal SIGKILL'],
  ['backup', 'tar', 'exit 32', 'the backup could not be written: tar: exit status 32'],
  ['restore', 'tar', DIES, 'the backup could not be unpacked: tar: signal SIGKILL'],
  ['clone', 'cp', FAILS, 'the env could not be copied: no such luck'],
  ['clone', 'cp', DIES, 'the env could not be copied: cp: signal SIGKILL'],
])('%s, whose %s does %j, says so', async (verb, program, script, says) => {
  const words = {
    backup: ['backup', 'e', path.join(root.base, 'other.backup')],
    restore: ['restore', backup, 'restored'],
    clone: ['clone', 'e', 'cloned'],
  }[verb]!;
  const { code, stderr } = await root.run(words, { env: withHelper(program, script) });
  expect(stderr).toContain(says);
  expect(code).toBe(EXIT.error);
});
