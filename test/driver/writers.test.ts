/** Which program is said to have changed what, in an env that is mounted with `trace`. */
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Ino, type Name, ROOT_INO } from '../../src/base/ids.ts';
import type { Transport } from '../../src/ipc/protocol.ts';
import { mountEnv } from '../../src/manager/envs/mount.ts';
import { envState } from '../../src/manager/envs/state.ts';
import { type Writers, writersOf } from '../../src/manager/envs/writers.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

/** One root with a template, and an env per test. */
let root: TestRoot;
let env: string;
let envs = 0;

beforeAll(async () => {
  root = await TestRoot.create({ BYREF_RESUME: '1' });
  // This process starts drivers itself.
  for (const name of ['BYREF_RUN', 'BYREF_IDLE_EXIT_MS', 'BYREF_RESUME'])
    process.env[name] = root.env[name];
  const source = root.directory('source');
  const write = (name: string, text: string): void => {
    writeFileSync(path.join(source, name), text);
    chmodSync(path.join(source, name), 0o755);
  };
  for (const name of ['kept', 'gone', 'old']) write(name, 'template\n');
  root.directory('source/dir');
  write('first.sh', '#!/bin/sh -e\n: >by-first\nexec sh ./second.sh\n');
  write('second.sh', ': >by-second\nexec ./third\n');
  write('third', '#!/usr/bin/env node\nfs = require("fs"); fs.writeFileSync("by-third", "");\n');
  write('module.py', 'open("by-module", "w")\n');
  await root.import('t', source);
});
afterAll(() => root.dispose());

beforeEach(async () => {
  env = `env${envs++}`;
  await root.create(env, 't');
});

interface Options {
  readonly passthrough?: boolean;
  readonly trace?: boolean;
  readonly transport?: Transport;
}

async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(root.path, { write: false });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Mounts the env. */
async function mounted(options: Options = {}): Promise<string> {
  const settings = { passthrough: true, trace: true, transport: 'kernel', ...options } as const;
  return withStore(async (store) => {
    const state = await envState(store, store.env(env)!);
    const { mountpoint } = await mountEnv(store, state, { ...settings, at: null });
    return mountpoint;
  });
}

const writers = (limit?: number): Promise<Writers> =>
  withStore((store) => writersOf(store, store.env(env)!, limit));

/** Runs a script in a mount. */
async function run(mountpoint: string, script: string): Promise<void> {
  const { code, stderr } = await sh(script, [], { cwd: mountpoint });
  expect(code, stderr).toBe(0);
}

/** What is there now, as "PATH: PROGRAM, PROGRAM", but for what nobody changed. */
async function changed(mountpoint: string): Promise<string[]> {
  const { inodes } = await writers();
  const { stdout } = await sh('find . -mindepth 1 -printf "%i %P\\n"', [], { cwd: mountpoint });
  return stdout
    .trim()
    .split('\n')
    .map((line) => /^(\d+) (.*)$/.exec(line)!)
    .flatMap(([, ino, name]) => {
      const programs = inodes.get(Number(ino) as Ino);
      return programs === undefined ? [] : [`${name}: ${programs.join(', ')}`];
    })
    .sort();
}

test('each change is its program’s, whatever it is', async () => {
  const mountpoint = await mounted();
  await run(
    mountpoint,
    `sh -c 'echo > by-sh'
     cp kept copied; install -m 755 kept installed
     touch a; mv a moved; ln kept linked; ln -s kept symlink; mkdir made; mknod pipe p
     chmod 600 old; truncate -s 3 cut
     (cd /; tar c etc/hostname) | tar x
     perl -e 'open(F, ">", "by-perl")'; python3 -c 'open("by-python", "w")'
     node -e 'fs.writeFileSync("by-node", "")'`,
  );
  expect(await changed(mountpoint)).toEqual([
    'by-node: node',
    'by-perl: perl',
    'by-python: python3',
    'by-sh: sh',
    'copied: cp',
    'cut: truncate',
    'etc/hostname: tar',
    'etc: tar',
    'installed: install',
    'kept: ln',
    'linked: ln',
    'made: mkdir',
    'moved: touch, mv',
    'old: chmod',
    'pipe: mknod',
    'symlink: ln',
  ]);
});

test('bytes of a template’s file are their writer’s, with the last writer last', async () => {
  const mountpoint = await mounted();
  await run(
    mountpoint,
    `dd if=/dev/zero of=kept bs=1 count=2 conv=notrunc status=none
     python3 -c 'import mmap; f = open("old", "r+b"); mmap.mmap(f.fileno(), 0)[0:1] = b"x"'
     sed -i s/a/b/ gone
     echo >kept; chmod 600 kept`,
  );
  expect(await changed(mountpoint)).toEqual(['gone: sed', 'kept: dd, bash, chmod', 'old: python3']);
});

test('who writes into what another program opened is known without passthrough only', async () => {
  // What it execs does the write: by passthrough, that is between it and the kernel.
  const script = 'sh -c "exec env printf x >f"';
  const mountpoint = await mounted();
  await run(mountpoint, script);
  expect(await changed(mountpoint)).toEqual(['f: sh']);
  await root.umount(env);
  await mounted({ passthrough: false });
  await run(mountpoint, script);
  expect(await changed(mountpoint)).toEqual(['f: sh, printf']);
});

test('scripts are named, also those that follow each other in one process', async () => {
  const mountpoint = await mounted();
  await run(mountpoint, './first.sh; python3 -m module; bash -o pipefail ./second.sh; (: >own)');
  expect(await changed(mountpoint)).toEqual([
    'by-first: sh first.sh',
    'by-module: python3 module',
    'by-second: sh second.sh, bash second.sh',
    'by-third: node third',
    'own: bash',
  ]);
});

test('a driver that is killed leaves what it noted to the next one, and that goes on', async () => {
  const mountpoint = await mounted({ passthrough: false });
  // The shell has it open all the time.
  const writer = sh(
    `exec 9>held; perl -e 'open(F, ">", "a"); print F "x"'; rm gone; touch ready
     until [ -e go ]; do sleep 0.05; done; dd if=kept of=/dev/fd/9 conv=notrunc status=none; printf 'x' >&9`,
    [],
    { cwd: mountpoint },
  );
  await expect.poll(() => existsSync(path.join(mountpoint, 'ready'))).toBe(true);
  const before = await writers();
  process.kill((await root.info(env)).driverPid!, 'SIGKILL');
  await run(mountpoint, 'mv a moved; cp kept copied; chmod 600 old; touch go');
  expect(await writer).toMatchObject({ code: 0 });
  expect(await changed(mountpoint)).toEqual([
    'copied: cp',
    'go: touch',
    'held: dd, bash',
    'moved: perl, mv',
    'old: chmod',
    'ready: touch',
  ]);
  const after = await writers();
  expect(after.since).toBe(before.since);
  expect([...after.removed.get(ROOT_INO)!.keys()]).toContain('gone');
});

test('names of templates that were removed are known, with who removed them', async () => {
  const mountpoint = await mounted();
  await run(mountpoint, 'rm gone; mv old new; rmdir dir; touch own; rm own');
  const { removed } = await writers();
  expect([...removed.keys()]).toEqual([ROOT_INO]);
  expect(removed.get(ROOT_INO)).toEqual(
    new Map([
      ['gone' as Name, ['rm']],
      ['old' as Name, ['mv']],
      ['dir' as Name, ['rmdir']],
    ]),
  );
});

test('reading is not noted, nor is what fails', async () => {
  const mountpoint = await mounted();
  await run(mountpoint, 'cat kept; ls -lR; cp kept /dev/null; ! mkdir dir; ! ln kept old');
  const { inodes, removed } = await writers();
  expect([inodes.size, removed.size]).toEqual([0, 0]);
});

test('of many writers the last four are known', async () => {
  const mountpoint = await mounted();
  await run(mountpoint, 'touch f; chmod 600 f; chown 1:1 f; sh -c "echo >>f"; truncate -s 0 f');
  expect(await changed(mountpoint)).toEqual(['f: chmod, chown, sh, truncate']);
});

test('many writers at once are told apart', async () => {
  const mountpoint = await mounted();
  await run(
    mountpoint,
    `for i in $(seq 40); do echo ": >by-$i" >s$i; done
     for i in $(seq 40); do sh s$i & done; wait`,
  );
  const seen = (await changed(mountpoint)).filter((line) => line.startsWith('by-'));
  const expected = Array.from({ length: 40 }, (_, i) => `by-${i + 1}: sh s${i + 1}`);
  expect(seen).toEqual(expected.sort());
});

test('a program in a PID namespace of its own is known', async () => {
  const mountpoint = await mounted();
  await run(mountpoint, 'unshare --pid --fork sh ./second.sh');
  expect(await changed(mountpoint)).toEqual(['by-second: sh second.sh', 'by-third: node third']);
});

test('page by page it is the same as at once', async () => {
  const mountpoint = await mounted();
  await run(mountpoint, 'mkdir d; for i in $(seq 500); do : >d/$i; done; rm gone; chmod 600 d/1*');
  const whole = await writers();
  expect(whole.inodes.size).toBe(501);
  for (const limit of [1, 7, 502]) expect(await writers(limit)).toEqual(whole);
});

test('an env that is not traced says so, and is not traced by mounting it again', async () => {
  const mountpoint = await mounted({ trace: false });
  await run(mountpoint, 'touch f');
  await expect(writers()).rejects.toMatchObject({
    code: 'usage',
    message: `${env} is not mounted with its writers traced`,
  });
  await expect(mounted()).rejects.toMatchObject({ code: 'busy' });
  await root.umount(env);
  await expect(writers()).rejects.toThrow('not mounted');
  await mounted();
  // A mount that doesn't ask for it leaves it as it is.
  await mounted({ trace: false });
  expect((await writers()).inodes.size).toBe(0);
});

test('fuse-native does not say who asks, so it is refused', async () => {
  await expect(mounted({ transport: 'fuse-native' })).rejects.toMatchObject({
    code: 'unsupported',
    hint: 'Mount it by the transport kernel.',
  });
});
