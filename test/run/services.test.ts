/** Envs whose first process is a list of services. */
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvProcess } from '../../src/manager/envs/runtime/processes.ts';
import type { EnvInfo } from '../../src/services/env-info.ts';
import { RunRoot } from './run-root.ts';

const POLL = { timeout: 20_000, interval: 50 };

let r: RunRoot;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  await r.root.create('web', 'tiny');
});
afterEach(() => r.dispose());

/** Sets a service that says when it begins and when it is asked to end. */
const service = (name: string, script = ''): Promise<string> => {
  const whole = `${script} trap "echo asked; exit 0" TERM; echo begun; while :; do sleep 0.1; done`;
  return r.root.ok('set', 'web', `services.${name}=${JSON.stringify(['sh', '-c', whole])}`);
};

const lines = async (): Promise<string[]> => (await r.root.ok('logs', 'web')).split('\n');

const pidOf = async (name: string): Promise<number | null | undefined> =>
  (await r.root.json<EnvInfo>('info', 'web')).running?.services.find((each) => each.name === name)
    ?.pid;

test('each is started; one that is killed comes back, and the others are not touched', async () => {
  await service('app');
  await service('db');
  await r.root.ok('start', '--ready', 'web');
  await expect.poll(lines, POLL).toEqual(expect.arrayContaining(['app: begun', 'db: begun']));
  const [app, db] = [await pidOf('app'), await pidOf('db')];
  const listed = await r.root.json<EnvProcess[]>('ps', 'web');
  expect(listed.find(({ pid }) => pid === app)).toMatchObject({ service: 'app' });
  expect(listed.find(({ insidePid }) => insidePid === 1)).toMatchObject({ service: null });
  process.kill(db!, 'SIGKILL');
  await expect
    .poll(async () => [undefined, null, db].includes(await pidOf('db')), POLL)
    .toBe(false);
  expect(await pidOf('app')).toBe(app);
  expect(await lines()).toContain('db: ended: signal 9; started again in 0.1 s');
  expect(await r.exec('web', 'echo "[$BYREF_SERVICE] alive"')).toBe('[] alive\n');
  expect(await r.root.ok('info', 'web')).toMatch(/services: +app \(pid \d+\), db \(pid \d+\)/);
});

test('they are asked to end in the reverse order, one after the other', async () => {
  for (const name of ['c', 'a', 'b']) await service(name);
  await r.root.ok('start', 'web');
  await expect
    .poll(async () => (await lines()).filter((line) => line.endsWith('begun')), POLL)
    .toHaveLength(3);
  expect(await r.root.ok('stop', 'web')).toBe('web: stopped\n');
  expect((await lines()).filter((line) => line.endsWith('asked'))).toEqual([
    'c: asked',
    'b: asked',
    'a: asked',
  ]);
  expect(r.leftovers()).toEqual([]);
});

test('one that fails again and again is started later each time; one that succeeds has ended', async () => {
  await r.root.ok(
    'set',
    'web',
    'services.bad=sh -c "echo tried; exit 3"',
    'services.once=echo done',
  );
  await r.root.ok('start', 'web');
  const delays = async (): Promise<string[]> =>
    (await lines()).flatMap(
      (line) => /^bad: ended: exit status 3; started again in (.*) s$/.exec(line)?.[1] ?? [],
    );
  await expect
    .poll(async () => (await delays()).slice(0, 4), POLL)
    .toEqual(['0.1', '0.2', '0.4', '0.8']);
  expect((await lines()).filter((line) => line.startsWith('once:'))).toEqual(['once: done']);
  expect(await pidOf('once')).toBeNull();
});

test('when all have succeeded, the env has ended', async () => {
  await r.root.ok('set', 'web', 'services.one=true', 'services.two=echo -n part');
  await r.root.ok('start', 'web');
  const ended = async (): Promise<unknown> =>
    (await r.root.json<EnvInfo>('info', 'web')).ended?.code;
  await expect.poll(ended, POLL).toBe(0);
  expect(await lines()).toContain('two: part');
});

test('signals are passed on, long lines are passed on in parts, and orphans do not stay', async () => {
  await service('app', `trap "echo reread" HUP; printf '%05000d\\n' 0;`);
  await r.root.ok('start', 'web');
  await expect.poll(lines, POLL).toContain('app: begun');
  const said = await lines();
  expect(said.filter((line) => /^app: 0+$/.test(line)).map((line) => line.length - 5)).toEqual([
    4096, 904,
  ]);
  await r.root.ok('kill', '-s', 'HUP', 'web');
  await expect.poll(lines, POLL).toContain('app: reread');
  await r.exec('web', '(sleep 0.1 &) ; exit 0');
  const zombies = async (): Promise<number> =>
    (await r.root.json<EnvProcess[]>('ps', 'web')).filter(({ command }) => command === '[sleep]')
      .length;
  await expect.poll(zombies, POLL).toBe(0);
});

test('what can’t be is refused with a sentence', async () => {
  await r.root.ok('set', 'web', 'services.app=/nosuch');
  expect(await r.root.byref('start', 'web')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('no program "/nosuch"'),
  });
  await r.root.ok('set', 'web', 'services.app=sleep 100', 'init=sleep 100');
  expect(await r.root.byref('start', 'web')).toMatchObject({ code: 2 });
  await r.root.ok('set', 'web', 'init=');
  expect(await r.root.ok('start', 'web')).toMatch(/started/);
  expect(await r.root.byref('set', 'web', 'services.a/b=x')).toMatchObject({ code: 2 });
  expect(r.leftovers().length).toBeGreaterThan(0);
});
