import { readdirSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { LET_GO } from '../../src/manager/confinement/confined.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

/** An ext4 of its own for the root. */
const SIZE = 256 * 2 ** 20;
/** Of the temporary directory, where the tiny system takes less than 100 MiB while it is built. */
const ROOMY = 'size=512m';

let systems: TinySystems;
let disk: SmallDisk;
let root: TestRoot;
let config: string;

beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());
beforeEach(async () => {
  disk = new SmallDisk(SIZE);
  root = await TestRoot.create({}, disk.place);
  config = path.join(disk.beside, 'tiny.yaml');
  const { server, repo } = systems;
  const from = { repository: server.url, keyring: repo.keyring, packages: ['tiny-base'] };
  writeFileSync(
    config,
    JSON.stringify({ name: 'tiny', suite: 'stable', variant: 'custom', ...from }),
  );
});
afterEach(async () => {
  await root.dispose();
  disk.dispose();
});

/** Where byref has its temporary files: not /var/tmp, which may hold this tree. */
const tmp = (): string => path.join(disk.beside, 'tmp');

/** Builds in a mount namespace in which the temporary directory is a tmpfs; what is then left and mounted there, by name. */
async function build(
  options: string,
): Promise<{ code: number | null; stderr: string; left: string }> {
  const script = `${LET_GO}
    mkdir -p ${tmp()}; mount -t tmpfs -o ${options} none ${tmp()}
    BYREF_TMPDIR=${tmp()} "$1" template build "$2" >/dev/null; code=$?
    ls -A ${tmp()}; grep -o " ${tmp()}/[^ ]*" /proc/self/mountinfo
    exit $code`;
  const isolate = 'unshare --mount --propagation private bash -uc';
  const { code, stdout, stderr } = await root.shell(
    `${isolate} '${script}' sh "$1" ${config}`,
    '/',
  );
  return { code, stderr, left: stdout };
}

/** Nothing of a build is below the root. */
async function expectNothing(): Promise<void> {
  expect(await root.json('template', 'list')).toEqual([]);
  const below = readdirSync(path.join(root.path, 'objects'), {
    recursive: true,
    withFileTypes: true,
  });
  expect(below.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual([]);
  await root.ok('fsck', '--full');
}

test('the temporary directory is full while the system is made: a sentence, and nothing is left', async () => {
  // No directory, no file in it; no package index, no packages, half a tree, no archive of it.
  const sizes = [
    'nr_inodes=1',
    'nr_inodes=2',
    ...['4k', '1m', '12m', '40m', '80m'].map((n) => `size=${n}`),
  ];
  for (const size of sizes) {
    const { code, stderr, left } = await build(size);
    expect([size, code, left], stderr).toEqual([size, EXIT.noSpace, '']);
    expect(stderr).toMatch(
      new RegExp(`no space left on the device.*\n {2}hint: Free some space in ${tmp()}`),
    );
    expect(stderr).not.toContain(' at ');
  }
  await expectNothing();
  expect(await build(ROOMY)).toMatchObject({ code: 0, left: '' });
});

const freeBytes = (): number => {
  const { bavail, bsize } = statfsSync(disk.place);
  return bavail * bsize;
};

test('the root is full while the system is stored: a sentence, and the store is as before', async () => {
  const before = freeBytes();
  expect(await build(ROOMY)).toMatchObject({ code: 0 });
  const needed = before - freeBytes();
  await root.ok('template', 'rm', 'tiny');
  const refused: number[] = [];
  for (const left of [0, 2 ** 20, needed / 2, needed - 2 ** 21, needed - 2 ** 19].map(Math.floor)) {
    disk.fill(left);
    const { code, stderr, left: remains } = await build(ROOMY);
    disk.empty();
    expect(remains).toBe('');
    if (code === 0) await root.ok('template', 'rm', 'tiny');
    else {
      expect(code, stderr).toBe(EXIT.noSpace);
      expect(stderr).toMatch(/no space left on the device.*\n {2}hint: Free some space/);
      refused.push(left);
    }
    await expectNothing();
  }
  expect(refused.length).toBeGreaterThanOrEqual(3);
  expect(await build(ROOMY)).toMatchObject({ code: 0, left: '' });
}, 200_000);
