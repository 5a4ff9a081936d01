/** A root with an env to which each kind of change can be made, and what it shows then. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

/** Returns a root with the template `os`, made of treeOf(), and the env `first`. @param parent as of TestRoot.create() */
export async function changeableRoot(parent?: string): Promise<TestRoot> {
  const root = await TestRoot.create({}, parent);
  for (const dir of ['etc/ssh', 'usr/lib', 'home'])
    mkdirSync(path.join(treeOf(root), dir), { recursive: true });
  writeFileSync(path.join(treeOf(root), 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
  for (const name of ['one', 'two', 'three', 'four'])
    writeFileSync(path.join(treeOf(root), 'usr/lib', name), name);
  await root.import('os', treeOf(root), 'os');
  await root.create('first', 'os');
  return root;
}

/** The directory that `os` is imported from. */
export const treeOf = (root: TestRoot): string => path.join(root.base, 'tree');

/** Changes of each kind. */
export const CHANGE = `
  cd "$1"
  echo own >usr/lib/one; chmod 600 usr/lib/two; rm usr/lib/three; ln usr/lib/four home/linked
  mkdir -p home/alice; echo data >home/alice/file; ln home/alice/file home/alice/link
  touch -d '2001-02-03 04:05:06.789' home/alice/file
  ln -s file home/alice/symlink; mkfifo home/alice/fifo; chown -R 1000:1000 home/alice
  setfattr -n user.note -v kept home/alice/file; setfacl -m u:33:r home/alice/file
  truncate -s 8M home/alice/sparse; printf 'a name\\377' | xargs -0 touch
  mv usr/lib usr/lib64; mkdir usr/lib`;

/** Runs a script in an env that is mounted for it; `$1` is where. Returns what it prints. */
export async function inEnv(root: TestRoot, env: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await sh(script, [await root.mount(env)]);
  expect(code, stderr).toBe(0);
  await root.umount(env);
  return stdout;
}

/** Returns all that an env shows but for what is each one's own. */
export const shown = (root: TestRoot, env: string): Promise<string> =>
  inEnv(
    root,
    env,
    `cd "$1"; find . -path ./etc -prune -o -printf '%p %y %m %U:%G %n %s %b %T@ %l\\n' | sort
    find . -type f -path './[hu]*' -exec sha256sum {} + | sort; getfacl -R home; getfattr -R -d home`,
  );
