/** docs/SEMANTICS.md: "An open for writing that writes nothing leaves nothing", on each file system, and where the driver dies over it. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { PRIVATE_DIR } from '../../src/driver/delta/layout.ts';
import { runKilledAt } from '../support/damage/failpoints.ts';
import { output } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';

const CASE_MS = 90_000;
const WITHIN_MS = 30_000;
const TEXT = 'the bytes of the template\n';
const FILES = ['opened', 'written', 'mapped'];

const MIB = 1024 * 1024;
const DISKS = [
  ['tmpfs', 160 * MIB],
  ['xfs', 320 * MIB],
  ['btrfs', 160 * MIB],
] as const;

async function withEnv(parent: string, work: (root: TestRoot, at: string) => Promise<void>) {
  const root = await TestRoot.create({}, parent);
  try {
    const tree = root.directory('tree');
    for (const name of FILES) writeFileSync(path.join(tree, name), TEXT);
    await work(root, await root.mounted('e', tree));
    expect(await root.findings()).toEqual([]);
  } finally {
    await root.dispose();
  }
}

const python = (file: string, script: string): Promise<string> =>
  output('python3', ['-c', `import mmap, os, sys\nf = sys.argv[1]\n${script}`, file]);

const read = (file: string): Promise<string> => output('cat', [file]);

function directoryOf(root: TestRoot): string {
  const envs = path.join(root.path, 'envs');
  return path.join(envs, readdirSync(envs)[0]!);
}

function copies(root: TestRoot): number {
  const dir = path.join(directoryOf(root), PRIVATE_DIR);
  return existsSync(dir) ? readdirSync(dir).length : 0;
}

const untilDead = (root: TestRoot) =>
  expect.poll(async () => (await root.info('e')).state, { timeout: WITHIN_MS }).toBe('dead');

const changed = async (root: TestRoot): Promise<string[]> =>
  (await root.json<{ path: string }[]>('diff', 'e')).map((each) => each.path).sort();

test.each(DISKS)(
  'on %s',
  async (type, bytes) => {
    const disk = new SmallDisk(bytes, type);
    try {
      await withEnv(disk.place, async (root, at) => {
        const opened = path.join(at, 'opened');
        await python(opened, 'for i in range(3): os.close(os.open(f, os.O_RDWR))');
        await expect.poll(() => copies(root), { timeout: WITHIN_MS }).toBe(0);
        expect(await changed(root)).toEqual([]);
        await python(path.join(at, 'written'), 'open(f, "r+").write("NEW")');
        const store = `fd = os.open(f, os.O_RDWR); m = mmap.mmap(fd, ${TEXT.length}); os.close(fd)`;
        await python(path.join(at, 'mapped'), `${store}; m[0:3] = b'NEW'; m.close()`);
        await python(opened, 'os.close(os.open(f, os.O_RDWR))');
        await expect.poll(() => copies(root), { timeout: WITHIN_MS }).toBe(2);
        await root.umount('e');
        await root.mount('e');
        expect(await changed(root)).toEqual(['/mapped', '/written']);
        const text = `NEW${TEXT.slice(3)}`;
        expect(await Promise.all(FILES.map((name) => read(path.join(at, name))))).toEqual([
          TEXT,
          text,
          text,
        ]);
      });
    } finally {
      disk.dispose();
    }
  },
  CASE_MS,
);

test(
  'a driver that dies while it gives a copy back',
  () =>
    withEnv(tmpdir(), async (root, at) => {
      const mountDying = (failpoint: string) => runKilledAt(root, failpoint, ['mount', 'e']);
      await root.umount('e');
      await expect.poll(() => root.processes(), { timeout: WITHIN_MS }).toEqual([]);
      expect((await mountDying('copy-given-back:1')).code).toBe(0);
      // Its close is not answered any more.
      root.background("exec python3 -c \"open('$1/opened', 'r+').close()\"", at);
      await untilDead(root);
      await root.ok('umount', '--force', 'e');
      await root.mount('e');
      expect(await read(path.join(at, 'opened'))).toBe(TEXT);
      expect(await changed(root)).toEqual([]);
      await expect.poll(() => copies(root), { timeout: WITHIN_MS }).toBe(0);
    }),
  CASE_MS,
);

test(
  'a driver that dies while it gives back what another one left',
  () =>
    withEnv(tmpdir(), async (root, at) => {
      const { driverPid } = await root.info('e');
      // The copy is there before it is in the journal: only a program that has the file open knows that both are.
      const isOpen = path.join(root.path, 'is-open');
      const holding = root.background(
        `exec python3 -c "import time; f = open('$1/opened', 'r+'); open('$2', 'w'); time.sleep(600)"`,
        at,
        isOpen,
      );
      await expect.poll(() => existsSync(isOpen), { timeout: WITHIN_MS }).toBe(true);
      expect(copies(root)).toBe(1);
      process.kill(driverPid!, 'SIGKILL');
      await untilDead(root);
      process.kill(-holding.pid!, 'SIGKILL');
      await root.ok('umount', '--force', 'e');
      expect(copies(root)).toBe(1);
      await expect.poll(() => root.processes(), { timeout: WITHIN_MS }).toEqual([]);
      // The driver that dies there, and the one that is started instead of it.
      const { code, stderr } = await runKilledAt(root, 'left-copy-given-back:1', ['mount', 'e']);
      expect(code, stderr).toBe(0);
      expect(readyDrivers(root)).toBe(3);
      expect(await read(path.join(at, 'opened'))).toBe(TEXT);
      expect(await changed(root)).toEqual([]);
      await expect.poll(() => copies(root), { timeout: WITHIN_MS }).toBe(0);
    }),
  CASE_MS,
);

/** How often a driver of this root began to serve. */
function readyDrivers(root: TestRoot): number {
  const run = root.env['BYREF_RUN']!;
  const log = path.join(run, readdirSync(run)[0]!, 'shard-0.log');
  return readFileSync(log, 'utf8').split('"driver ready"').length - 1;
}
