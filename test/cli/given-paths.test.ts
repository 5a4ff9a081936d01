/** Paths that a user names: where a command's output goes, and which files are read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { BYREF, output } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
let at: (name: string) => string;

beforeAll(async () => {
  root = await TestRoot.create();
  at = (name) => path.join(root.base, name);
  const source = root.directory('source');
  writeFileSync(path.join(source, 'file'), 'content\n');
  await root.import('t', source);
  await root.create('one', 't');
});
afterAll(() => root.dispose());

const exported = (target: string) => root.byref('template', 'export', 't', target);

const membersOf = (tar: string): Promise<string> => output('tar', ['tf', tar]);

test('an export to a device is written to it, and leaves it a device', async () => {
  // As /dev/null is, but our own.
  await output('mknod', [at('null'), 'c', '1', '3']);
  expect(await exported(at('null'))).toMatchObject({ code: EXIT.ok, stderr: '' });
  expect(lstatSync(at('null')).isCharacterDevice()).toBe(true);
  expect(readdirSync(root.base).filter((name) => name.includes('partial'))).toEqual([]);
});

test('an export to a FIFO says that it waits, and reaches its reader whole', async () => {
  await output('mkfifo', [at('fifo')]);
  const writer = exported(at('fifo'));
  const said = spawnReader(at('fifo'), at('read.tar'));
  expect((await writer).code).toBe(EXIT.ok);
  await said.end;
  expect(await membersOf(at('read.tar'))).toContain('file');
  expect(lstatSync(at('fifo')).isFIFO()).toBe(true);
});

test('an export that nobody reads says what it waits for', async () => {
  await output('mkfifo', [at('unread')]);
  const child = root.background(
    'exec "$1" template export t "$2" 2>"$3"',
    BYREF,
    at('unread'),
    at('said'),
  );
  await expect
    .poll(() => (existsSync(at('said')) ? readFileSync(at('said'), 'utf8') : ''), {
      timeout: 30_000,
    })
    .toContain(`waiting for a program that reads ${at('unread')}`);
  const reader = spawnReader(at('unread'), at('late.tar'));
  await once(child, 'exit');
  await reader.end;
  expect(await membersOf(at('late.tar'))).toContain('file');
});

test('an export through a symlink replaces the file that it leads to', async () => {
  mkdirSync(at('elsewhere'));
  writeFileSync(at('elsewhere/t.tar'), 'old');
  symlinkSync('elsewhere/t.tar', at('link'));
  expect((await exported(at('link'))).code).toBe(EXIT.ok);
  expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
  expect(await membersOf(at('elsewhere/t.tar'))).toContain('file');
});

test('nothing is written through a symlink that lies where the new file is made', async () => {
  writeFileSync(at('precious'), 'precious');
  symlinkSync(at('precious'), at('t.tar.partial'));
  expect((await exported(at('t.tar'))).code).toBe(EXIT.ok);
  expect(readFileSync(at('precious'), 'utf8')).toBe('precious');
  expect(await membersOf(at('t.tar'))).toContain('file');
});

test('an export to what can not be written ends with a sentence, and leaves it as it was', async () => {
  symlinkSync('nowhere', at('dangling'));
  writeFileSync(at('mounted'), 'old');
  await output('mount', ['--bind', at('precious'), at('mounted')]);
  const refused: [target: string, code: number, said: string][] = [
    ['', EXIT.badInput, 'an empty name names no file'],
    [at('elsewhere'), EXIT.badInput, 'is a directory'],
    [at('dangling'), EXIT.badInput, 'is a symlink that leads nowhere'],
    [at('none/t.tar'), EXIT.notFound, `there is no directory ${at('none')}`],
    [at('precious/t.tar'), EXIT.badInput, 'not a directory'],
    [at('mounted'), EXIT.badInput, 'EBUSY'],
    [at('x'.repeat(250)), EXIT.badInput, 'ENAMETOOLONG'],
  ];
  for (const [target, code, said] of refused) {
    const { code: got, stderr } = await exported(target);
    expect(`${got} ${stderr}`).toContain(`${code} byref: `);
    expect(stderr).toContain(said);
    expect(stderr).not.toContain('    at ');
  }
  await output('umount', [at('mounted')]);
  expect(readFileSync(at('precious'), 'utf8')).toBe('precious');
  expect(existsSync(at('mounted.partial'))).toBe(false);
});

test('a configuration is a regular file of bounded size', async () => {
  await output('mkfifo', [at('endless')]);
  writeFileSync(at('large.yaml'), '');
  truncateSync(at('large.yaml'), 2 ** 33);
  const readers: readonly (readonly string[])[] = [
    ['template', 'build'],
    ['template', 'capture', 'a', '--base', 't', '--rules'],
    ['template', 'import', 't', at('source'), '--needs'],
    ['create', '--from-config'],
    ['daemon', '--config'],
  ];
  const refused: [file: string, code: number, said: string][] = [
    [at('endless'), EXIT.badInput, 'is a FIFO, no regular file'],
    [at('elsewhere'), EXIT.badInput, 'is a directory, no regular file'],
    ['/dev/zero', EXIT.badInput, 'is a device, no regular file'],
    [at('large.yaml'), EXIT.badInput, 'is larger than 1 MiB'],
    [at('missing.yaml'), EXIT.notFound, 'there is no '],
  ];
  for (const [i, words] of readers.entries()) {
    const [file, code, said] = refused[i]!;
    const after = words[1] === 'capture' ? ['--', 'true'] : [];
    const { code: got, stderr } = await root.byref(...words, file, ...after);
    expect(`${got} ${stderr}`).toContain(`${code} byref: `);
    expect(stderr).toContain(said);
    expect(stderr).not.toContain('    at ');
  }
});

/** Reads a FIFO into a file. */
function spawnReader(fifo: string, file: string): { readonly end: Promise<unknown> } {
  const child: ChildProcess = spawn('sh', ['-c', 'cat "$1" >"$2"', 'sh', fifo, file], {
    stdio: 'ignore',
  });
  return { end: once(child, 'exit') };
}
