import { chmodSync, copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { type Finished, sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const NOBODY = 65534;

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
  // Others than root get as far as the root.
  chmodSync(root.base, 0o755);
  const source = root.directory('source');
  writeFileSync(path.join(source, 'file'), 'text\n');
  copyFileSync('/usr/bin/id', path.join(source, 'id'));
  chmodSync(path.join(source, 'id'), 0o4755);
  await root.import('t', source);
  for (const env of ['one', 'two']) await root.create(env, 't');
});
afterEach(() => root.dispose());

/** What a user of the host gets by a script. */
const asNobody = (script: string, cwd = '/'): Promise<Finished> =>
  sh(`exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups sh -c '${script}'`, [], {
    cwd,
  });

const modeOf = (directory: string): string =>
  (statSync(path.join(root.path, directory)).mode & 0o7777).toString(8);

test('a user of the host gets into no mounted env, and programs of other users in it go on working', async () => {
  const mountpoint = await root.mount('one');
  for (const there of [`cat ${mountpoint}/file`, `${mountpoint}/id -u`, `ls ${root.path}/mnt`]) {
    const { code, stderr } = await asNobody(there);
    expect(code, there).not.toBe(0);
    expect(stderr).toContain('Permission denied');
  }
  // Whoever is in it already, as the programs of a container are.
  expect(await asNobody('cat file', mountpoint)).toMatchObject({ code: 0, stdout: 'text\n' });
});

test('a root that an older byref left open is closed by the next mount, and by the next change', async () => {
  const open = (): void => {
    for (const directory of ['.', 'mnt']) chmodSync(path.join(root.path, directory), 0o755);
  };
  open();
  await root.mount('one');
  expect([modeOf('.'), modeOf('mnt')]).toEqual(['700', '700']);
  open();
  await root.create('three', 't');
  expect([modeOf('.'), modeOf('mnt')]).toEqual(['700', '700']);
  await root.ok('fsck', '--quick');
  // What no byref ever made is the administrator's.
  chmodSync(path.join(root.path, 'mnt'), 0o711);
  chmodSync(root.path, 0o750);
  await root.mount('two');
  expect([modeOf('.'), modeOf('mnt')]).toEqual(['750', '711']);
});

test('--allow-users shows one env to users, without its set-user-ID programs and devices', async () => {
  await root.mount('one');
  const shown = await root.mount('two', '--allow-users');
  expect(shown).toBe(path.join(root.path, 'users/two'));
  await sh('mknod -m 666 "$1/null" c 1 3', [shown]);
  expect((await asNobody(`cat ${shown}/file; ${shown}/id -u`)).stdout).toBe(`text\n${NOBODY}\n`);
  expect((await asNobody(`: <${shown}/null`)).stderr).toContain('Permission denied');
  expect((await asNobody(`cat ${root.path}/mnt/one/file`)).code).not.toBe(0);
  await root.umount('two');
  await root.mount('two', '--allow-users', '-o', 'suid,dev');
  expect((await asNobody(`${shown}/id -u; : <${shown}/null`)).stdout).toBe('0\n');
  await root.ok('destroy', 'two', '--force');
  expect(await sh('ls "$1"', [path.dirname(shown)])).toMatchObject({ code: 0, stdout: '' });
});

test('--at a place that users can reach needs --allow-users; below a directory of root, nothing', async () => {
  const open = root.directory('open');
  chmodSync(open, 0o777);
  const refused = await root.byref('mount', 'one', '--at', open);
  expect(refused.code, refused.stderr).toBe(EXIT.usage);
  expect(refused.stderr).toContain(`users of this machine can reach ${open}`);
  expect(refused.stderr).toContain('--allow-users');
  const fresh = path.join(open, 'made', 'place');
  expect((await root.byref('mount', 'one', '--at', fresh)).code).toBe(EXIT.usage);
  expect(existsSync(path.dirname(fresh)), 'a refusal makes nothing').toBe(false);
  await root.ok('mount', 'one', '--at', open, '--allow-users');
  expect((await asNobody(`${open}/id -u`)).stdout).toBe(`${NOBODY}\n`);

  const closed = root.directory('closed');
  chmodSync(closed, 0o700);
  mkdirSync(path.join(closed, 'place'), { mode: 0o777 });
  await root.ok('mount', 'two', '--at', path.join(closed, 'place'));
  expect((await asNobody(`cat ${closed}/place/file`)).code).not.toBe(0);
});
