/** What an env, or a template, has in the place of a file that byref reads or writes by itself leads nowhere out of it. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const ROOT_USER = 'root:x:0:0:root:/root:/bin/sh\n';
let root: TestRoot;
let mount: string;

function tree(name: string, passwd: string): string {
  const dir = root.directory(name);
  mkdirSync(path.join(dir, 'etc'));
  writeFileSync(path.join(dir, 'etc/passwd'), passwd);
  return dir;
}

beforeAll(async () => {
  root = await TestRoot.create();
  mount = await root.mounted('e', tree('tree', ROOT_USER));
});
afterAll(() => root.dispose());

test('accounts of an env are read from a regular file of the env, of some size', async () => {
  const host = path.join(root.directory('host'), 'passwd');
  writeFileSync(host, `${ROOT_USER}secret:x:4242:4242::/:/bin/sh\n`);
  const capture = ['template', 'capture', 'app', '--from-env', 'e', '--dry-run'];
  const refused = async (script: string, why: RegExp): Promise<void> => {
    await sh(script, [host], { cwd: mount });
    const { code, stdout, stderr } = await root.byref(...capture);
    expect(`${stdout}${stderr}`).not.toContain('secret');
    expect(stderr).toMatch(why);
    expect(code).toBe(EXIT.badInput);
  };
  await refused('ln -sf "$1" etc/passwd', /\/etc\/passwd: a symlink/);
  await refused('rm etc/passwd; mkfifo etc/passwd', /\/etc\/passwd of the env is no regular file/);
  await refused('rm etc/passwd; truncate -s 1T etc/passwd', /is too large to be merged: 1.00 TiB/);
  // Directories may be symlinks, as programs in the env see them.
  await sh(
    'rm etc/passwd; mv etc "etc 2"; ln -s "/etc 2" etc; printf "%sown:x:901:901::/:/x\\n" "$1" >"etc 2/passwd"',
    [ROOT_USER],
    { cwd: mount },
  );
  expect(await root.ok(...capture)).toContain('added: user own');
});

test('what a composition writes stays in it, though a template has a symlink to a file of the machine', async () => {
  const host = path.join(root.directory('machine'), 'shells');
  writeFileSync(host, 'the machine’s\n');
  const at = await root.mounted('maker', tree('os', ROOT_USER));
  await sh('echo /bin/own >etc/shells', [], { cwd: at });
  await root.ok('template', 'capture', 'one', '--from-env', 'maker');
  const two = root.directory('two');
  mkdirSync(path.join(two, 'etc'));
  symlinkSync(host, path.join(two, 'etc/shells'));
  await root.import('two', two, 'app');
  const os = 'template-of-maker';
  const { stderr } = await root.byref('create', 'both', '--os', os, '--app', 'one', '--app', 'two');
  expect(readFileSync(host, 'utf8')).toBe('the machine’s\n');
  expect(stderr).toContain('/etc/shells: a symlink');
  expect(await root.findings()).toEqual([]);
});
