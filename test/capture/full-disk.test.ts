/** Full disks while something is captured: a sentence, and nothing is left. */
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { LET_GO } from '../../src/manager/confinement/confined.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

/** An ext4 of its own for the root. */
const SIZE = 256 * 2 ** 20;

let systems: TinySystems;
let tree: string;
let disk: SmallDisk;
let root: TestRoot;

beforeAll(async () => {
  systems = await TinySystems.create();
  tree = (await systems.system()).root;
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  disk = new SmallDisk(SIZE);
  root = await TestRoot.create({}, disk.place);
  await root.import('tiny', tree);
});
afterEach(async () => {
  await root.dispose();
  disk.dispose();
});

/** Where byref has its temporary files: not /var/tmp, which may hold this tree. */
const tmp = (): string => path.join(disk.beside, 'tmp');

/** Captures a file of so many MiB in a mount namespace in which the temporary directory is a tmpfs. */
async function capture(mib: number, size: string, ...options: string[]) {
  const script = `
    ${LET_GO} mkdir -p ${tmp()}; mount -t tmpfs -o size=${size} none ${tmp()}
    BYREF_TMPDIR=${tmp()} "$1" template capture x --base tiny ${options.join(' ')} -- \
      dd if=/dev/urandom of=/opt/file bs=1M count=${mib} status=none </dev/null; code=$?
    ls -A ${tmp()}; exit $code`;
  // A driver of the one before would mount in a namespace that is gone.
  await expect.poll(() => root.processes(), { timeout: 10_000 }).toEqual([]);
  const isolate = 'unshare --mount --propagation private bash -uc';
  return root.shell(`${isolate} '${script}' sh "$1"`, '/');
}

async function expectNothing(): Promise<void> {
  const names = await root.json<{ name: string }[]>('template', 'list');
  expect(names.map(({ name }) => name)).toEqual(['tiny']);
  expect(await root.json('list')).toEqual([]);
  await root.ok('fsck', '--full');
}

test('in the env, in the temporary directory, and in the store', async () => {
  const inEnv = await capture(400, '400m');
  expect([inEnv.code, inEnv.stderr]).toEqual([
    EXIT.error,
    expect.stringMatching(/No space left on device.*dd ended with status 1/s),
  ]);
  for (const [size, ...options] of [['1m'], ['12m', '--dry-run']]) {
    const inTmp = await capture(8, size!, ...options);
    expect([inTmp.code, inTmp.stdout, inTmp.stderr]).toEqual([
      EXIT.noSpace,
      '',
      expect.stringContaining(`no space left on the device of ${tmp()}`),
    ]);
  }
  await expectNothing();
  // The env has it, and is gone when the store gets it; so what fills the disk is others'.
  disk.fill(0);
  const inStore = await capture(1, '200m');
  expect(inStore.code).not.toBe(0);
  disk.empty();
  await expectNothing();
  expect((await capture(8, '200m')).code).toBe(0);
});
