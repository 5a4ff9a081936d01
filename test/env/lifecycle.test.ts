import { existsSync, linkSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
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
  writeFileSync(path.join(source, 'kept'), 'of the template\n');
  writeFileSync(path.join(source, 'gone'), 'of the template\n');
});
afterEach(() => root.dispose());

test('what an env wrote is there after unmounting and mounting again, and in no other env', async () => {
  const mountpoint = await root.mounted('one', source);
  await root.ok('create', 'two', '--os', 'template-of-one');
  const other = await root.mount('two');
  const wrote = await sh('cd "$1"; echo more >>kept; rm gone; mkdir d; echo new >d/f', [
    mountpoint,
  ]);
  expect(wrote.code, wrote.stderr).toBe(0);
  await root.ok('umount', 'one');
  expect(existsSync(path.join(mountpoint, 'kept'))).toBe(false);

  await root.mount('one');
  const seen = await sh('cd "$1"; cat kept d/f; ls', [mountpoint]);
  expect(seen.stdout).toBe('of the template\nmore\nnew\nd\nkept\n');
  const untouched = await sh('cd "$1"; cat kept; ls', [other]);
  expect(untouched.stdout).toBe('of the template\ngone\nkept\n');
});

test('diff shows added, changed and deleted paths, mounted or not', async () => {
  const mountpoint = await root.mounted('one', source);
  await sh('cd "$1"; echo more >>kept; rm gone; mkdir d; echo new >d/f', [mountpoint]);
  const expected = 'C /\nA /d\nA /d/f\nD /gone\nC /kept\n';
  expect(await root.ok('diff', 'one')).toBe(expected);
  await root.ok('umount', 'one');
  expect(await root.ok('diff', 'one')).toBe(expected);
  const changes = await root.json<{ kind: string; path: string }[]>('diff', 'one');
  expect(changes).toContainEqual({ kind: 'D', path: '/gone', attributes: null });
});

test('a renamed template directory shows as removed and added, its files as neither', async () => {
  const tree = root.directory('source/tree');
  writeFileSync(path.join(tree, 'file'), 'x');
  const mountpoint = await root.mounted('one', source);
  await sh('mv "$1/tree" "$1/moved"', [mountpoint]);
  expect(await root.ok('diff', 'one')).toBe('C /\nA /moved\nD /tree\n');
});

test('info names the mount point, both processes, the stack and the sizes', async () => {
  await root.mounted('one', source);
  const info = await root.info('one');
  expect(info).toMatchObject({
    name: 'one',
    state: 'mounted',
    mountpoint: path.join(root.path, 'mnt/one'),
    stack: [{ template: 'template-of-one', version: 1, pinned: false, canary: false }],
    transport: 'kernel',
    sharedFiles: 2,
    privateFiles: 0,
    damage: null,
  });
  const processes = root.processes();
  expect(processes).toContain(`${info.driverPid} byref-driver ${root.path} 0`);
  expect(processes).toContain(`${info.holderPid} byref-holder ${root.path}`);
});

test('mounting twice and unmounting twice are no errors', async () => {
  await root.mounted('one', source);
  expect(await root.ok('mount', 'one')).toContain('mounted already');
  await root.ok('umount', 'one');
  expect(await root.ok('umount', 'one')).toContain('not mounted');
});

test('--at mounts elsewhere, and umount finds it', async () => {
  await root.mounted('one', source);
  await root.ok('umount', 'one');
  const place = root.directory('elsewhere');
  await root.ok('mount', 'one', '--at', place);
  expect((await root.info('one')).mountpoint).toBe(place);
  const again = await root.byref('mount', 'one');
  expect(again.code).toBe(EXIT.busy);
  expect(again.stderr).toContain(place);
  await root.ok('umount', 'one');
});

test('--no-passthrough is what info says', async () => {
  await root.mounted('one', source, '--no-passthrough');
  expect((await root.info('one')).passthrough).toBe(false);
});

test('destroy refuses a mounted env, and with --force leaves nothing of it', async () => {
  const mountpoint = await root.mounted('one', source);
  await sh('echo x >"$1/private"', [mountpoint]);
  const refused = await root.byref('destroy', 'one');
  expect(refused.code).toBe(EXIT.busy);
  await root.ok('destroy', 'one', '--force');
  expect(await root.json('list')).toEqual([]);
  expect(readdirSync(path.join(root.path, 'envs'))).toEqual([]);
  expect(existsSync(mountpoint)).toBe(false);
});

test('a destroy that is killed when it has unmounted the env leaves it whole', async () => {
  const mountpoint = await root.mounted('one', source);
  await sh('cd "$1"; echo x >private; mkdir -p a/b; mv private a/b; rm -r a/b/c || :', [
    mountpoint,
  ]);
  const told = { env: { ...root.env, BYREF_FAILPOINT: 'destroy-unmounted' } };
  expect((await root.run(['destroy', 'one', '--force'], told)).code).toBe(-1);
  expect(await root.findings()).toEqual([]);
  const again = await root.mount('one');
  expect((await sh('cat "$1/a/b/private"; ls "$1/a/b"', [again])).stdout).toBe('x\nprivate\n');
  await root.ok('destroy', 'one', '--force');
});

test('files of an env whose destroy was cut short go with the next destroy', async () => {
  await root.mounted('one', source);
  await root.ok('umount', 'one');
  root.directory('root/envs/77/private');
  await root.ok('destroy', 'one');
  expect(readdirSync(path.join(root.path, 'envs'))).toEqual([]);
});

test('df tells private from shared bytes', async () => {
  const mountpoint = await root.mounted('one', source);
  await sh('head -c 100000 /dev/zero >"$1/zeros"', [mountpoint]);
  const [row] = await root.json<{ privateBytes: number; sharedBytes: number }[]>('df', 'one');
  expect(row!.sharedBytes).toBe(32);
  expect(row!.privateBytes).toBeGreaterThanOrEqual(100_000);
});

test('envs are spread over the shards by number', async () => {
  const base = await TestRoot.create();
  try {
    await base.run(['init', '--root', `${base.path}4`, '--shards', '3']);
    await base.run(['template', 'import', 't', source, '--root', `${base.path}4`]);
    for (const name of ['a', 'b', 'c', 'd']) {
      await base.run(['create', name, '--os', 't', '--root', `${base.path}4`]);
    }
    const { stdout } = await base.run(['list', '-H', '-o', 'shard', '--root', `${base.path}4`]);
    expect(stdout.trim().split('\n')).toEqual(['0', '1', '2', '0']);
  } finally {
    await base.dispose();
  }
});

test('an app with a directory where the OS template has a symlink is refused', async () => {
  const os = root.directory('os');
  root.directory('os/usr/lib');
  symlinkSync('usr/lib', path.join(os, 'lib'));
  const app = root.directory('app');
  root.directory('app/lib');
  await root.ok('template', 'import', 'os', os);
  await root.ok('template', 'import', 'app', app, '--kind', 'app');
  const refused = await root.byref('create', 'one', '--os', 'os', '--app', 'app');
  expect(refused.code).toBe(EXIT.badInput);
  expect(refused.stderr).toContain('app has a directory at /lib');
  expect(refused.stderr).toContain('/usr/lib');
  expect(await root.ok('list', '-H', '-o', 'name')).toBe('');
});

test('a mount inside an env stays when a hard-linked file is first written to while it is read', async () => {
  const lib = root.directory('source/usr/lib');
  writeFileSync(path.join(lib, 'a'), 'old');
  linkSync(path.join(lib, 'a'), path.join(lib, 'b'));
  root.directory('source/usr/share');
  const mountpoint = await root.mounted('one', source);
  const script = `
    mount -t tmpfs none usr/share
    trap 'umount usr/share' EXIT
    touch usr/share/on-the-tmpfs
    exec 9<usr/lib/a
    stat usr/lib/b >/dev/null
    echo new >usr/lib/a
    cat usr/lib/b
    ls usr/share`;
  const { stdout, stderr } = await sh(script, [], { cwd: mountpoint });
  expect(stdout, stderr).toBe('new\non-the-tmpfs\n');
});
