import type { ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StaleFile } from '../../src/manager/rollout/stale.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

let t: PatchRoot;
/** A tree with sleep(1) and all that it loads, and a library of our own. */
let tree: string;

beforeEach(async () => {
  t = await PatchRoot.create();
  tree = t.root.directory('tree');
  const script = `
    cd "$2"; mkdir -p bin etc usr/lib
    cp -L /bin/sleep bin/; cp -L /bin/sleep bin/other
    ldd bin/sleep | grep -o '/[^ ]*' | while read -r lib; do mkdir -p ".\${lib%/*}"; cp -L "$lib" ".$lib"; done
    echo 'int ours;' | gcc -shared -fPIC -x c -o usr/lib/libours.so -
    echo data >etc/data`;
  const { code, stderr } = await t.root.shell(script.replaceAll('"$2"', `'${tree}'`), '/');
  expect(code, stderr).toBe(0);
  await t.root.import('t', tree);
  await t.envs('a', 'b');
});
afterEach(() => t.dispose());

/** A program in an env's root, or (`host`) one of the host that uses files of the env. */
const start = (script: string, env: string): ChildProcess =>
  t.root.background(`cd "$1"; ${script}`, t.mount(env));

/** Changes files so that programs and libraries stay what they are, and patches. */
async function patchFiles(...names: string[]): Promise<void> {
  for (const name of names) appendFileSync(path.join(tree, name), 'new');
  await t.root.import('t', tree);
  await t.patch();
}

const stale = (...envs: string[]): Promise<StaleFile[]> => t.root.json('stale', ...envs);

const shown = (files: StaleFile[]): string[] =>
  files
    .map(({ env, pid, program, use, path: at, version, restart }) =>
      [env, pid, program, use, at, version, restart].join(' '),
    )
    .sort();

async function settled(child: ChildProcess, program: string): Promise<number> {
  const pid = child.pid!;
  await expect
    .poll(async () => (await t.root.shell(`cat /proc/${pid}/comm`, '/')).stdout.trim())
    .toBe(program);
  return pid;
}

test('lists exactly the processes that run, map or have open what was replaced', async () => {
  const pids = {
    runs: await settled(start('exec chroot . /bin/sleep 100', 'a'), 'sleep'),
    // Loaded, and its descriptor closed.
    maps: await settled(
      start('exec env LD_PRELOAD=$PWD/usr/lib/libours.so /bin/sleep 100', 'a'),
      'sleep',
    ),
    opens: await settled(start('exec 7<etc/data; exec /bin/sleep 100', 'b'), 'sleep'),
    // Uses nothing that changes.
    other: await settled(start('exec chroot . /bin/other 100', 'a'), 'other'),
    // Has the file of another env open.
    elsewhere: await settled(start('exec 7<bin/other; exec /bin/sleep 100', 'b'), 'sleep'),
  };
  expect(await stale()).toEqual([]);
  await patchFiles('bin/sleep', 'usr/lib/libours.so', 'etc/data');
  expect(shown(await stale())).toEqual(
    [
      `a ${pids.runs} sleep map /bin/sleep 1 program`,
      `a ${pids.maps} sleep map /usr/lib/libours.so 1 program`,
      `b ${pids.opens} sleep fd /etc/data 1 program`,
    ].sort(),
  );
  expect(shown(await stale('b'))).toEqual([`b ${pids.opens} sleep fd /etc/data 1 program`]);
  // A second patch: still version 1 that they use.
  await patchFiles('bin/sleep');
  expect(shown(await stale('a'))).toContain(`a ${pids.runs} sleep map /bin/sleep 1 program`);
  // Restarted, a program is not stale any more.
  process.kill(pids.runs, 'SIGKILL');
  const again = await settled(start('exec chroot . /bin/sleep 100', 'a'), 'sleep');
  await expect
    .poll(async () => (await stale('a')).some(({ pid }) => pid === pids.runs))
    .toBe(false);
  expect((await stale('a')).some(({ pid }) => pid === again)).toBe(false);
  // Taken back, what runs the old version is not stale, and what runs the new one is.
  await t.rollback('--to', '1');
  expect(shown(await stale())).toEqual([`a ${again} sleep map /bin/sleep 3 program`]);
});

test('says that the env has to be restarted where the C library or the init changed', async () => {
  const child = start('exec chroot . /bin/sleep 100', 'a');
  const pid = await settled(child, 'sleep');
  const { stdout } = await t.root.shell(`find -name 'libc.so.6' -printf '%P\\n'`, tree);
  const libc = stdout.trim();
  await patchFiles(libc);
  expect(shown(await stale())).toEqual([`a ${pid} sleep map /${libc} 1 env`]);
  expect(await t.root.ok('stale', '-H', '-o', 'env,restart')).toBe('a\tenv\n');
});

test('an init of a PID namespace of its own is the env’s', async () => {
  const child = start('exec unshare --pid --fork --kill-child chroot . /bin/sleep 100', 'a');
  await settled(child, 'unshare');
  await expect
    .poll(async () => (await t.root.shell(`pgrep -P ${child.pid!} sleep`, '/')).stdout.trim())
    .not.toBe('');
  await patchFiles('bin/sleep');
  const files = await stale();
  expect(files.map(({ program, restart }) => `${program} ${restart}`)).toEqual(['sleep env']);
});

test('a file that the env has of its own is not stale; one of which it has set attributes only is', async () => {
  await t.in('a', 'echo more >>bin/sleep; chmod 700 bin/other');
  await settled(start('exec chroot . /bin/sleep 100', 'a'), 'sleep');
  const pid = await settled(start('exec chroot . /bin/other 100', 'a'), 'other');
  await patchFiles('bin/sleep', 'bin/other');
  expect(await stale()).toMatchObject([{ pid }]);
});
