import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { runKilledAt } from '../support/damage/failpoints.ts';
import { run, sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
let mountpoint: string;

beforeEach(async () => {
  root = await TestRoot.create();
  mountpoint = await root.mounted('one', root.directory('source'));
});
afterEach(() => root.dispose());

async function killDriver(): Promise<void> {
  const { driverPid } = await root.info('one');
  process.kill(driverPid!, 'SIGKILL');
  await expect.poll(async () => (await root.info('one')).state, { timeout: 10_000 }).toBe('dead');
}

test('a killed driver leaves its env dead, and umount and mount bring back all it had answered', async () => {
  await sh('echo answered >"$1/file"', [mountpoint]);
  await killDriver();
  const refused = await root.byref('mount', 'one');
  expect(refused.code).toBe(EXIT.busy);
  expect(refused.stderr).toContain('hint: Clean up first: byref umount one');
  expect(await root.ok('umount', 'one')).toContain('unmounted');
  await root.mount('one');
  expect((await sh('cat "$1/file"', [mountpoint])).stdout).toBe('answered\n');
});

test('what waits in a dead env goes on waiting while the holder lives, and fails at umount', async () => {
  await killDriver();
  const waiting = run('ls', ['-l', mountpoint]);
  const early = await Promise.race([
    waiting.then(() => 'answered'),
    new Promise((resolve) => setTimeout(() => resolve('waits'), 500)),
  ]);
  expect(early).toBe('waits');
  await root.umount('one');
  // Which of its calls waited depends on what the kernel knew. Not every one makes `ls` fail as a whole.
  expect((await waiting).stderr).toContain('ls: ');
});

test('destroy --force works on a dead env', async () => {
  await killDriver();
  await root.ok('destroy', '--force', 'one');
  expect(await root.json('list')).toEqual([]);
});

test('a driver that is killed each time it mounts the env is told as that, and the next mount brings back all', async () => {
  await sh('echo answered >"$1/file"', [mountpoint]);
  await killDriver();
  await root.umount('one');
  const { stderr } = await runKilledAt(root, 'recovered:1', ['mount', 'one']);
  expect(stderr).toMatch(/driver of shard 0 was killed \(out of memory\?\) before it answered/);
  await root.mount('one');
  expect((await sh('cat "$1/file"', [mountpoint])).stdout).toBe('answered\n');
});

test('a driver that serves a mount ignores SIGTERM', async () => {
  const { driverPid } = await root.info('one');
  process.kill(driverPid!, 'SIGTERM');
  expect((await sh('echo x >"$1/f"; cat "$1/f"', [mountpoint])).stdout).toBe('x\n');
});

test('a new holder is given the descriptors of every mount, old ones too', async () => {
  const { holderPid } = await root.info('one');
  process.kill(holderPid!, 'SIGKILL');
  await root.create('two', 'template-of-one');
  await root.mount('two');
  const [one, two] = [await root.info('one'), await root.info('two')];
  expect(two.holderPid).not.toBeNull();
  expect(two.holderPid).not.toBe(holderPid);
  expect(one.holderPid).toBe(two.holderPid);
});

test('mounts without a holder, unmounted, leave nothing behind', async () => {
  const { holderPid } = await root.info('one');
  process.kill(holderPid!, 'SIGKILL');
  await root.umount('one');
});
