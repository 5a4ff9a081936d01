/** Mounts over each other, and over what drivers need: each command says what is in its way, and nobody waits for himself. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { BYREF, output, sh, TREE } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
let at: (name: string) => string;

beforeEach(async () => {
  root = await TestRoot.create();
  at = (name) => path.join(root.base, name);
  const source = root.directory('source');
  writeFileSync(path.join(source, 'file'), 'content\n');
  await root.import('t', source);
  for (const env of ['one', 'two']) await root.create(env, 't');
});
afterEach(() => root.dispose());

test('an env below another one is unmounted after that, and a command says so', async () => {
  await root.ok('mount', 'one', '--at', at('above/below'));
  await root.ok('mount', 'two', '--at', at('above'));
  for (const options of [[], ['--lazy'], ['--force']]) {
    const { code, stderr } = await root.byref('umount', 'one', ...options);
    expect(code).toBe(EXIT.busy);
    expect(stderr).toBe(
      `byref: one can't be unmounted: env number 2 is mounted on ${at('above')}, over ${at('above/below')}\n` +
        '  hint: Unmount that first: byref umount 2\n',
    );
  }
  expect((await root.byref('destroy', '--force', 'one')).code).toBe(EXIT.busy);
  // All at once, in the order that works.
  expect(await root.ok('umount', 'one', 'two')).toBe('two: unmounted\none: unmounted\n');
});

test('an env that something else lies over is unmounted after that', async () => {
  const place = await root.mount('one');
  await output('mount', ['-t', 'tmpfs', 'scratch', place]);
  const { code, stderr } = await root.byref('umount', 'one');
  await output('umount', [place]);
  expect(`${code} ${stderr}`).toContain(
    `${EXIT.busy} byref: one can't be unmounted: scratch is mounted`,
  );
  expect(stderr).toContain(`hint: Unmount that first: umount ${place}`);
  expect(await root.ok('umount', 'one')).toBe('one: unmounted\n');
});

test('--at what byref itself needs is refused, and nothing is made there', async () => {
  const run = root.env['BYREF_RUN']!;
  mkdirSync(at('alias'));
  await output('mount', ['--bind', root.path, at('alias')]);
  await output('mount', ['--make-private', at('alias')]);
  const refused: [place: string, said: string][] = [
    [run, `would hide ${run}`],
    [path.join(run, 'new/place'), `is a part of ${run}`],
    ['/proc', 'would hide /proc'],
    ['/dev', 'would hide /dev'],
    [TREE, `would hide ${TREE}`],
    [path.dirname(process.execPath), 'would hide '],
    [root.path, `would hide ${root.path}`],
    [path.join(root.path, 'envs/1'), 'is a part of the root'],
    [path.join(root.path, 'mnt'), 'is a part of the root'],
    [at('alias'), `would hide ${root.path}`],
    [at('alias/objects'), 'is a part of the root'],
    [at('alias/new'), 'is a part of the root'],
  ];
  try {
    for (const [place, said] of refused) {
      const { code, stderr } = await root.byref('mount', 'two', '--at', place);
      expect(`${code} ${stderr}`).toContain(`${EXIT.badInput} byref: `);
      expect(stderr).toContain(said);
      expect(stderr).toContain('hint: Name ');
    }
  } finally {
    await output('umount', [at('alias')]);
  }
  expect(readdirSync(run)).not.toContain('new');
  expect(readdirSync(root.path)).not.toContain('new');
  expect((await root.info('two')).state).toBe('stopped');
});

test.each([
  ['its root', () => root.path],
  ['the directory of its root', () => root.base],
])('a driver serves an env that somebody has mounted over %s', async (_, place) => {
  const script = `
    "$1" mount one >&2
    mount --bind "$2/mnt/one" "$3"
    cat "$3/file"
    echo more >>"$3/file"
    echo new >"$3/new"
    sync "$3/new"
    cat "$3/file" "$3/new"
    umount "$3"
    "$1" umount one >&2
  `;
  // In a mount namespace of its own, which ends with it.
  const inside = ['-euc', script, 'sh', BYREF, root.path, place()];
  const { code, stdout, stderr } = await sh('exec unshare --mount bash "$@"', inside, {
    env: root.env,
  });
  expect(code, stderr).toBe(0);
  expect(stdout).toBe('content\ncontent\nmore\nnew\n');
});
