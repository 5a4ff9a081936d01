/** Envs whose processes go to files, and on from there. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvCheckpointed } from '../../src/services/checkpoint-env.ts';
import { runKilledAt } from '../support/damage/failpoints.ts';
import { needsCriu } from '../support/machine/criu.ts';
import { output } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

const POLL = { timeout: 20_000, interval: 50 };
/** Counts in memory, and in a file that stays open and is removed. */
const COUNTING =
  'init=bash -c "exec 3<>/root/gone; rm /root/gone; i=0; while :; do i=$((i+1)); echo $i >&3; echo $i $(wc -c </dev/fd/3) >/root/new; mv /root/new /root/count; sleep 0.02; done"';

needsCriu();

let r: RunRoot;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  await r.root.ok(
    ...['create', 'web', '--os', 'tiny', '--volume', '/srv', '--volume', '/sized:16MiB'],
  );
  await r.root.ok('set', 'web', 'network=none', COUNTING);
  await r.root.ok('start', 'web');
  await expect.poll(count, POLL).toBeGreaterThan(0);
});
afterEach(() => r.dispose());

const directory = (): string => path.join(r.root.base, 'asleep');

/** How far the program has come, as the machine sees it. */
async function count(): Promise<number> {
  const file = path.join(r.root.path, 'mnt/web/root/count');
  return Number.parseInt(await output('cat', [file]).catch(() => '0'), 10);
}

/** How long the removed file is that it has open. */
const goneBytes = async (): Promise<number> =>
  Number((await output('cat', [path.join(r.root.path, 'mnt/web/root/count')])).split(' ')[1]);

const stateOf = async (): Promise<string> => (await r.root.info('web')).state;

async function expectGoing(from: number): Promise<void> {
  await expect.poll(count, POLL).toBeGreaterThan(from);
  expect(await stateOf()).toBe('running');
}

const goOn = (): Promise<string> => r.root.ok('start', 'web', '--from-checkpoint', directory());

test('its programs go on where they were, again and again', async () => {
  // Leaves a server in the env that it did not begin with.
  await r.exec('web', 'echo volume >/srv/file; echo sized >/sized/file');
  for (let turn = 0; turn < 3; turn++) {
    const [before, bytes] = [await count(), await goneBytes()];
    const done = await r.root.json<EnvCheckpointed>('checkpoint', 'web', directory());
    expect(done).toMatchObject({ name: 'web', directory: directory() });
    expect(done.processes).toBeGreaterThan(1);
    expect(await stateOf()).toBe('stopped');
    expect(r.leftovers()).toEqual([]);
    await goOn();
    const after = await count();
    expect(after).toBeGreaterThanOrEqual(before);
    await expectGoing(after);
    expect(await goneBytes()).toBeGreaterThan(bytes);
    expect(await r.exec('web', 'cat /srv/file /sized/file')).toBe('volume\nsized\n');
    await output('rm', ['-r', directory()]);
  }
});

test('it does not go on with files that may be others', async () => {
  await r.root.ok('checkpoint', 'web', directory());
  const refused = async (why: RegExp): Promise<void> => {
    const { code, stderr } = await r.root.byref('start', 'web', '--from-checkpoint', directory());
    expect({ code, stderr }).toMatchObject({
      code: EXIT.busy,
      stderr: expect.stringMatching(why) as string,
    });
    expect(stderr).toContain('byref start web');
    expect(await stateOf()).not.toBe('running');
  };
  await r.stage('2.0');
  await r.root.ok('patch', 'tiny');
  await refused(/was patched/);
  await r.root.ok('rollback', 'tiny');
  await goOn();
  await r.root.ok('stop', 'web', '--fast');
  await refused(/mounted or started since/);
  await r.root.ok('start', 'web');
  await output('rm', ['-r', directory()]);
  await r.root.ok('checkpoint', 'web', directory());
  await r.root.ok('mount', 'web');
  await refused(/mounted or started since/);
});

test('what can’t be put to sleep is named, and runs on', async () => {
  const refused = async (why: RegExp, code: number = EXIT.unsupported): Promise<void> => {
    const failed = await r.root.byref('checkpoint', 'web', directory());
    expect(failed).toMatchObject({ code, stderr: expect.stringMatching(why) as string });
    await expectGoing(await count());
  };
  const guest = r.exec('web', 'echo here >/root/guest; exec sleep 30');
  guest.catch(() => undefined);
  await expect
    .poll(() => existsSync(path.join(r.root.path, 'mnt/web/root/guest')), POLL)
    .toBe(true);
  await refused(/sleep .*byref exec/);
  await output('pkill', ['-f', '^sleep 30$']);
  await guest.catch(() => undefined);

  writeFileSync(directory(), 'a file');
  await refused(/is there already/, EXIT.usage);
  await output('rm', [directory()]);
  await r.root.ok('freeze', 'web');
  const { code } = await r.root.byref('checkpoint', 'web', directory());
  expect(code).toBe(EXIT.busy);
  await r.root.ok('thaw', 'web');
  await r.root.ok('stop', 'web', '--fast');
  const stopped = await r.root.byref('checkpoint', 'web', directory());
  expect(stopped.code).toBe(EXIT.usage);
});

test('images that are not whole are told, and the env can be started again', async () => {
  await r.root.ok('checkpoint', 'web', directory());
  const images = path.join(directory(), 'processes');
  const image = path.join(images, readdirSync(images).find((name) => /^core-/.test(name))!);
  await output('cp', [image, `${image}.whole`]);
  writeFileSync(image, 'none');
  const failed = await r.root.byref('start', 'web', '--from-checkpoint', directory());
  expect(failed).toMatchObject({
    code: EXIT.error,
    stderr: expect.stringContaining('could not go on') as string,
  });
  expect(r.leftovers()).toEqual([]);
  await output('mv', [`${image}.whole`, image]);
  await goOn();
  await expectGoing(await count());
});

test.for(['frozen', 'dumped', 'written', 'stopped'])(
  'killed when it is %s, it is whole',
  async (step) => {
    const words = ['checkpoint', 'web', directory()];
    await runKilledAt(r.root, `checkpoint-${step}`, words);
    if (step === 'stopped') {
      expect(await stateOf()).toBe('mounted');
      await r.root.ok('umount', 'web');
      await r.root.ok('start', 'web');
    }
    await expectGoing(await count());
    await output('rm', ['-rf', directory()]);
    await r.root.ok(...words);
    await goOn();
    await expectGoing(await count());
  },
);
