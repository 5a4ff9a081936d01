/** Many envs under a limit of open files: docs/reference/mounting.md, "Open files". */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Finished } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const ENVS = 50;
const LIMIT = 256;
const CASE_MS = 180_000;

let root: TestRoot;

beforeAll(async () => {
  root = await TestRoot.create();
  const source = root.directory('source');
  for (const name of ['read', 'written']) writeFileSync(path.join(source, name), 'text\n');
  await root.import('t', source);
  for (let i = 0; i < ENVS; i++) await root.create(`e${i}`, 't');
}, CASE_MS);
afterAll(() => root.dispose());

const mountWith = (limit: number): Promise<Finished> =>
  root.shell(`ulimit -n ${limit}; "$1" mount --all`, '/');

test(
  'more envs than a driver has descriptors for are refused, the others are served',
  async () => {
    const { code, stdout, stderr } = await mountWith(90);
    expect(code).not.toBe(0);
    expect(stderr).toContain(`may have 90 files open, which are too few to serve`);
    const mounted = stdout.match(/^e\d+: mounted on (.*)$/gm) ?? [];
    expect(mounted.length).toBeGreaterThan(10);
    const { stdout: read } = await root.shell('cat mnt/*/read | wc -l', root.path);
    expect(Number(read)).toBe(mounted.length);
    await root.umount();
    // The next one gets another limit.
    await expect.poll(() => root.processes(), { timeout: 10_000 }).toEqual([]);
  },
  CASE_MS,
);

/** Opens a file in each env, writes to all of them, and then syncs all of them at once; prints what failed. */
const WRITE_AND_SYNC = `
import os, sys, threading
files = [os.open(sys.argv[1] + "/e%d/written" % i, os.O_WRONLY) for i in range(${ENVS})]
failed = []
def sync(file):
    try: os.fsync(file)
    except OSError as error: failed.append(error.strerror)
for file in files: os.write(file, b"TEXT")
threads = [threading.Thread(target=sync, args=(file,)) for file in files]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(failed)
`;

test(
  'all envs read, write and sync, again and again, with fewer descriptors than they would keep',
  async () => {
    const { code, stderr } = await mountWith(LIMIT);
    expect(code, stderr).toBe(0);
    const mnt = path.join(root.path, 'mnt');
    for (let round = 0; round < 2; round++) {
      const words = `for e in ${mnt}/*; do echo ${round} >$e/new; mkdir -p $e/dir; cat $e/read $e/new; done`;
      const made = await root.shell(words, '/');
      expect(made.stderr).toBe('');
      expect(made.stdout).toBe(`text\n${round}\n`.repeat(ENVS));
      const synced = await root.shell(`python3 -c '${WRITE_AND_SYNC}' ${mnt}`, '/');
      expect(synced.stdout).toBe('[]\n');
    }
    // Unmounting makes the last checkpoints: nothing may be left to recover.
    await root.umount();
    expect(await root.findings()).toEqual([]);
  },
  CASE_MS,
);
