import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
let source: string;

beforeEach(async () => {
  root = await TestRoot.create();
  source = root.directory('source');
  root.directory('source/sub/deeper');
  await root.ok('template', 'import', 't', source);
  for (const env of ['one', 'two']) await root.ok('create', env, '--os', 't');
});
afterEach(() => root.dispose());

test('--at what can not be a mount point is refused, with what to do', async () => {
  const at = (name: string): string => path.join(root.base, name);
  writeFileSync(at('file'), '');
  symlinkSync(at('nowhere'), at('dangling'));
  const mountpoint = await root.mount('one');
  symlinkSync(`${mountpoint}/sub`, at('into'));
  const refused: [place: string, code: number, said: string][] = [
    ['', EXIT.usage, '--at names no directory'],
    [at('file'), EXIT.badInput, `${at('file')} is not a directory`],
    [at('file/below'), EXIT.badInput, `${at('file/below')} can't be made: ${at('file')} is not`],
    [at('dangling'), EXIT.badInput, `${at('dangling')} is a symlink that leads nowhere`],
    [mountpoint, EXIT.badInput, `${mountpoint} is in one`],
    [`${mountpoint}/sub`, EXIT.badInput, `${mountpoint}/sub is in one`],
    [`${mountpoint}/new/dir`, EXIT.badInput, `${mountpoint}/new/dir is in one`],
    [at('into'), EXIT.badInput, `${mountpoint}/sub is in one`],
    [path.join(root.path, 'objects'), EXIT.badInput, 'is a part of the root'],
    [root.base, EXIT.badInput, `would hide ${root.path}`],
    ['/', EXIT.badInput, `would hide ${root.path}`],
    ['/proc/self/none', EXIT.badInput, "/proc/self/none can't be made"],
  ];
  for (const [place, code, said] of refused) {
    const { code: got, stderr } = await root.run(['mount', 'two', '--at', place], { cwd: source });
    expect(`${got} ${stderr}`).toContain(`${code} byref: `);
    expect(stderr).toContain(said);
    expect(stderr).toContain('hint: ');
    expect(stderr).not.toContain('bug');
  }
  expect((await root.info('two')).state).toBe('stopped');
  expect((await sh('ls "$1"', [mountpoint])).stdout).toBe('sub\n');
});

test('--at a new directory makes it, through symlinks, and over what is there', async () => {
  const real = root.directory('real');
  writeFileSync(path.join(real, 'hidden'), '');
  symlinkSync(real, path.join(root.base, 'link'));
  await root.ok('mount', 'one', '--at', path.join(root.base, 'link'));
  expect((await root.info('one')).mountpoint).toBe(real);
  expect(await root.ok('mount', 'one', '--at', path.join(root.base, 'link'))).toContain('already');
  expect(existsSync(path.join(real, 'sub/deeper'))).toBe(true);
  await root.ok('umount', 'one');
  expect(existsSync(path.join(real, 'hidden'))).toBe(true);
  const made = path.join(root.base, 'link/new/place');
  await root.ok('mount', 'two', '--at', made);
  expect((await root.info('two')).mountpoint).toBe(path.join(real, 'new/place'));
});
