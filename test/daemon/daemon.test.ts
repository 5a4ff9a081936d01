/** The daemon: its API, operations, events, restarts of envs, and what becomes of all when it is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { EnvInfo } from '../../src/services/env-info.ts';
import type { Operation } from '../../src/services/operation.ts';
import type { EnvStarted } from '../../src/services/start-env.ts';
import { RunRoot } from '../run/run-root.ts';
import { sh } from '../support/machine/program.ts';
import { TestDaemon } from './daemon-root.ts';

let r: RunRoot;
let daemon: TestDaemon;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  daemon = new TestDaemon(r.root);
});
afterEach(async () => {
  await daemon.kill('SIGTERM');
  await r.dispose();
});

test('the API makes, starts, asks, stops and destroys an env, as the command line does', async () => {
  await daemon.start();
  const made = await daemon.done('POST', '/v1/envs', { envs: ['web'], os: 'tiny' });
  expect(made).toMatchObject({ state: 'done', exitCode: 0, result: { name: 'web' } });
  const [started] = await daemon.json<EnvStarted[]>('POST', '/v1/envs/web/start');
  expect(started).toMatchObject({ name: 'web', already: false });
  const [listed] = await daemon.json<EnvSummary[]>('GET', '/v1/envs');
  expect(listed).toEqual((await r.root.json<EnvSummary[]>('list'))[0]);
  expect(listed).toMatchObject({ state: 'running', pid: started?.pid });
  const limits = { keyValues: ['limits.processes=50'] };
  expect(await daemon.json('PATCH', '/v1/envs/web', limits)).toMatchObject({
    settings: { 'limits.processes': '50' },
  });
  expect(await daemon.json<EnvInfo>('GET', '/v1/envs/web')).toMatchObject({
    settings: { 'limits.processes': '50' },
    running: { processes: 1 },
  });
  expect(await daemon.json('GET', '/v1/envs/web/processes')).toMatchObject([{ insidePid: 1 }]);
  const exec = { command: ['sh', '-c', 'echo "$A" in $PWD; echo no >&2; exit 7'] };
  expect(
    await daemon.json('POST', '/v1/envs/web/exec', {
      ...exec,
      workdir: '/etc',
      environment: { A: 'here' },
    }),
  ).toEqual({ exitCode: 7, stdout: 'here in /etc\n', stderr: 'no\n' });
  expect((await daemon.ask('POST', '/v1/envs/none/exec', exec)).status).toBe(404);
  expect(await daemon.json('POST', '/v1/envs/web/stop')).toMatchObject([{ outcome: 'ended' }]);
  const gone = await daemon.done('DELETE', '/v1/envs/web');
  expect(gone).toMatchObject({ state: 'done', result: [{ name: 'web', destroyed: true }] });
});

test('what is wrong is answered with a status, and the error of the command line', async () => {
  await daemon.start();
  expect(await daemon.ask('GET', '/v1/envs/none')).toMatchObject({
    status: 404,
    text: expect.stringContaining('"code":"notFound"'),
  });
  expect((await daemon.ask('GET', '/v1/nothing')).status).toBe(404);
  expect((await daemon.ask('POST', '/v1/envs/web/clone', { count: 2 })).status).toBe(400);
  const unknown = await daemon.ask('POST', '/v1/envs', { envs: ['a'], os: 'tiny', color: 'red' });
  expect(unknown).toMatchObject({
    status: 400,
    text: expect.stringContaining('there is no field \\"color\\"'),
  });
  expect((await daemon.ask('POST', '/v1/envs/none/start', {})).status).toBe(404);
  expect((await daemon.ask('GET', '/v1/operations/77')).status).toBe(404);
  // A NUL would make one word two.
  expect((await daemon.ask('GET', '/v1/envs/none%00--json')).status).toBe(400);
  const words = ['list', 'a\0b'];
  expect((await daemon.ask('POST', '/v1/operations', { words })).status).toBe(400);
  const failed = await daemon.done('POST', '/v1/envs', { envs: ['a'], os: 'nothing' });
  expect(failed).toMatchObject({ state: 'failed', exitCode: 3, error: { code: 'notFound' } });
});

test('the document that it serves is the published one, and every request of it exists', async () => {
  await daemon.start();
  const document = await daemon.json<{ paths: Record<string, object> }>('GET', '/openapi.json');
  expect(Object.keys(document.paths)).toContain('/v1/templates/{template}/patch');
  for (const [url, methods] of Object.entries(document.paths)) {
    if (!('get' in methods) || url === '/v1/events' || url.includes('{')) continue;
    expect((await daemon.ask('GET', url)).status, url).toBe(200);
  }
});

test('events tell of what is done, by whoever does it', async () => {
  await daemon.start();
  await daemon.until(async () => (await daemon.ask('GET', '/healthz')).status === 200);
  // Once it has looked, it sees what is different.
  await daemon.until(() => daemon.logged.includes('operation.ended'));
  await r.root.create('web', 'tiny');
  await daemon.eventsUntil(({ what }) => what === 'env.created');
  await r.root.ok('start', 'web');
  await daemon.eventsUntil(({ what }) => what === 'env.started');
  await r.root.ok('stop', 'web');
  const events = await daemon.eventsUntil(({ what }) => what === 'env.unmounted');
  const ofEnvs = events.filter(({ what }) => what.startsWith('env.')).map(({ what }) => what);
  // Whether it is seen mounted before it runs is a matter of moments.
  expect(ofEnvs.toSorted()).toEqual([
    'env.created',
    'env.ended',
    'env.mounted',
    'env.started',
    'env.unmounted',
  ]);
});

test('metrics count the requests of a mount, with latencies and errors', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  const at = await r.root.mount('web');
  await sh(
    'ls "$1/etc" >/dev/null; rmdir "$1/etc" 2>/dev/null || :; echo x >>"$1/etc/release-of-test"',
    [at],
  );
  await daemon.until(async () =>
    (await daemon.ask('GET', '/metrics')).text.includes('byref_envs{state="mounted"} 1'),
  );
  const { text } = await daemon.ask('GET', '/metrics');
  expect(text).toMatch(
    /^byref_request_seconds_bucket\{env="web",operation="LOOKUP",le="\+Inf"\} [1-9]/m,
  );
  expect(text).toMatch(
    /^byref_request_errors_total\{env="web",operation="RMDIR",errno="ENOTEMPTY"\} [1-9]/m,
  );
  expect(text).toContain('byref_copy_ups_total{env="web"} 1\n');
  expect(text).toContain('byref_driver_mounts{shard="0"} 1\n');
});

test('a long command goes to the daemon; it outlives its client, and the daemon', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  await r.root.mount('web');
  await r.stage('2.0');
  const health = path.join(r.root.base, 'go');
  const client = r.root.background(
    'exec "$1" patch tiny --canary web --health-on host --health "until test -e $2; do sleep 0.05; done"',
    r.byref,
    health,
  );
  await daemon.until(async () =>
    (await daemon.json<Operation[]>('GET', '/v1/operations')).some(
      ({ words, state }) => words[0] === 'patch' && state === 'running',
    ),
  );
  client.kill('SIGKILL');
  await daemon.kill();
  await daemon.start();
  const [operation] = await r.root.json<Operation[]>('operation', 'list');
  expect(operation).toMatchObject({
    state: 'running',
    words: ['patch', 'tiny', ...Array(6).fill(expect.anything())],
  });
  writeFileSync(health, '');
  const waited = await r.root.byref('operation', 'wait', String(operation?.id));
  expect(waited).toMatchObject({ code: 0, stdout: expect.stringMatching(/tiny/) });
  expect((await r.root.history())[0]).toMatchObject({ template: 'tiny', state: 'done' });
});

test('an operation that was hardly begun when the daemon was killed is not there', async () => {
  await daemon.start();
  const operations = path.join(path.dirname(daemon.socket), 'operations');
  await daemon.kill();
  mkdirSync(path.join(operations, '500'));
  await daemon.start();
  expect((await daemon.ask('GET', '/v1/operations')).status).toBe(200);
  expect(readdirSync(operations)).not.toContain('500');
});

test('what an operation printed comes whole to a client that reads late', async () => {
  await daemon.start();
  const { id } = await daemon.json<Operation>('POST', '/v1/operations', { words: ['list'] });
  const operations = path.join(path.dirname(daemon.socket), 'operations');
  await daemon.json('GET', `/v1/operations/${id}?wait=30`);
  writeFileSync(path.join(operations, String(id), 'stdout'), Buffer.alloc(8 * 2 ** 20, 'x'));
  const response = await daemon.send('GET', `/v1/operations/${id}/output`);
  await daemon.json('GET', '/v1/operations');
  let bytes = 0;
  for await (const line of createInterface({ input: response })) {
    const { stdout } = JSON.parse(line) as { stdout?: string };
    bytes += stdout === undefined ? 0 : Buffer.from(stdout, 'base64').length;
  }
  expect(bytes).toBe(8 * 2 ** 20);
});

test('Ctrl-C of a client, or a cancel, reaches the operation', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  await r.root.mount('web');
  await r.stage('2.0');
  const { id } = await daemon.json<Operation>('POST', '/v1/templates/tiny/patch', {
    canary: ['web'],
    healthOn: 'host',
    health: 'sleep 1000',
  });
  await daemon.until(async () => (await r.root.history()).length > 0);
  await r.root.ok('operation', 'cancel', String(id));
  const ended = await daemon.json<Operation>('GET', `/v1/operations/${id}?wait=30`);
  expect(ended).toMatchObject({ state: 'cancelled', exitCode: 12 });
  expect((await r.root.history())[0]).toMatchObject({ state: 'undone' });
});

test('an env that ends is started again as its policy says; another is cleared away', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  await r.root.ok('set', 'web', 'restart=on-failure:2', 'init=/bin/sh -c "sleep 0.2; exit 3"');
  await r.root.ok('start', 'web');
  const events = await daemon.eventsUntil(
    ({ what, name }) => what === 'env.unmounted' && name === 'web',
  );
  const exits = events.filter(({ what }) => what === 'env.exited');
  expect(exits.map(({ code }) => code)).toEqual([3, 3, 3]);
  expect(events.filter(({ what }) => what === 'env.restarted')).toHaveLength(2);
  expect(r.leftovers()).toEqual([]);
  expect((await r.root.info('web')).ended).toMatchObject({ code: 3 });
});

test('an env that is to run always is up again when it was killed, and stays down when it was stopped', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  await r.root.ok('set', 'web', 'restart=always');
  const [first] = await r.root.json<EnvStarted[]>('start', 'web');
  await r.root.ok('kill', 'web');
  await daemon.until(async () => {
    const { pid } = (await r.root.json<EnvSummary[]>('list'))[0]!;
    return pid !== null && pid !== first?.pid;
  });
  await r.root.ok('stop', 'web');
  await daemon.eventsUntil(({ what }) => what === 'env.unmounted');
  expect((await r.root.json<EnvSummary[]>('list'))[0]).toMatchObject({ state: 'stopped' });
});

test('envs run on when the daemon is killed or ends; the next one finds them, and what has ended', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  await r.root.create('brief', 'tiny');
  await r.root.ok('set', 'brief', 'init=/bin/sh -c "while test ! -e /end; do sleep 0.05; done"');
  await r.root.ok('start', '--all');
  const before = await r.root.json<EnvSummary[]>('list');
  await daemon.kill();
  await r.exec('brief', ': >/end');
  await daemon.start();
  await daemon.until(async () =>
    (await r.root.json<EnvSummary[]>('list')).some(
      ({ name, state }) => name === 'brief' && state === 'stopped',
    ),
  );
  await daemon.kill('SIGTERM');
  const after = await r.root.json<EnvSummary[]>('list');
  expect(after.find(({ name }) => name === 'web')).toEqual(
    before.find(({ name }) => name === 'web'),
  );
});

test('what is on autostart is started once after a boot', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('set', 'web', 'boot.autostart=true');
  await daemon.start();
  await daemon.until(async () => (await r.root.json<EnvSummary[]>('list'))[0]?.state === 'running');
  await r.root.ok('stop', 'web');
  await daemon.until(() => daemon.logged.includes('operation.ended'));
  await daemon.kill();
  await daemon.start();
  await daemon.ask('GET', '/healthz');
  expect((await r.root.json<EnvSummary[]>('list'))[0]).toMatchObject({ state: 'stopped' });
});

test('a second daemon, a wrong configuration and a root that is none are refused with what to do', async () => {
  await daemon.start();
  expect(await r.root.byref('daemon')).toMatchObject({
    code: 5,
    stderr: expect.stringContaining(`runs already (pid ${daemon.pid})`),
  });
  const file = path.join(r.root.base, 'daemon.yaml');
  writeFileSync(file, 'log: loud\nmetric: 127.0.0.1:1\n');
  const { code, stderr } = await r.root.byref('daemon', '--config', file);
  expect(code).toBe(7);
  expect(stderr).toContain(`${file}:1: log: "loud" is not one of debug, info, warn, error`);
  expect(stderr).toContain(`${file}:2: metric: no such field`);
  expect((await r.root.byref('daemon', '--root', '/nowhere')).code).toBe(3);
  expect((await r.root.byref('operation', 'wait', '99')).code).toBe(3);
});

test('the client that starts fast prints and exits as the whole command line does', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  const { BYREF_ROOT, BYREF_RUN, PATH } = r.root.env;
  const fast = { env: { BYREF_ROOT, BYREF_RUN, PATH } };
  const whole = { env: { ...fast.env, BYREF_LOG: 'info' } };
  const compare = async (...words: string[]): Promise<string> => {
    const quick = await r.root.run(words, fast);
    expect(quick, words.join(' ')).toEqual(await r.root.run(words, whole));
    return quick.stdout;
  };
  await compare('list');
  await compare('list', '--json');
  await compare('info', 'web', '--json');
  await compare('info', 'none');
  await compare('list', '--nothing');
  await compare('exec', 'web', 'true');
  await compare('nothing');
  await compare('template', 'list');
  expect((await r.root.run(['start', 'web'], fast)).stdout).toMatch(/^web: started/);
  expect(await compare('exec', 'web', '--', 'sh', '-c', 'echo hello; exit 7')).toBe('hello\n');
  await compare('exec', 'web', '--', 'nothing-like-it');
  await compare('exec', 'web', '-u', 'nobody', 'id', '-un');
  const given = await r.root.run(['exec', 'web', 'cat'], { ...fast, input: 'given' });
  expect(given).toEqual({ code: 0, stdout: 'given', stderr: '' });
  // What it shows stands still once the exec server is there, which the first program had started.
  const parent = ['exec', 'web', 'sh', '-c', 'cat /proc/$PPID/comm'];
  await daemon.until(async () => (await r.root.run(parent, fast)).stdout === 'byref-exec\n');
  await compare('ps', 'web');
  const run = ['run', '--rm', 'tiny', '--', 'sh', '-c', 'cat; echo more >&2; exit 3'];
  expect(await r.root.run(run, { ...fast, input: 'given\n' })).toEqual({
    code: 3,
    stdout: 'given\n',
    stderr: 'more\n',
  });
  await compare('run', '--rm', 'tiny', '--', 'nothing-like-it');
  await compare('create', 'web', '--os', 'tiny');
  expect((await r.root.run(['stop', 'web', '--fast'], fast)).stdout).toBe('web: killed\n');
  expect(await compare('stop', 'web')).toBe('web: not running\n');
});

test('a signal for a fast `run` is the command’s; one that is killed leaves the env to itself', async () => {
  await daemon.start();
  const { BYREF_ROOT, BYREF_RUN, PATH } = r.root.env;
  const start = (script: string): ChildProcess =>
    spawn(r.byref, ['run', '--rm', '--name', 'job', 'tiny', '--', 'bash', '-c', script], {
      env: { BYREF_ROOT, BYREF_RUN, PATH },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const asked = start('trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done');
  await once(asked.stdout!, 'data');
  asked.kill('SIGTERM');
  expect(await once(asked, 'exit')).toEqual([9, null]);
  const killed = start('echo ready; while :; do sleep 0.05; done');
  await once(killed.stdout!, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  expect((await r.root.info('job')).running).not.toBeNull();
  // Nobody waits for its end any more, so the daemon clears it away.
  await r.root.ok('kill', 'job');
  await daemon.until(async () => (await r.root.json<EnvSummary[]>('list'))[0]?.state === 'stopped');
});

test('a runner that hangs or was killed is replaced, and the fast client does without it meanwhile', async () => {
  await daemon.start();
  await r.root.create('web', 'tiny');
  const { BYREF_ROOT, BYREF_RUN, PATH } = r.root.env;
  const runner = async (): Promise<number> => {
    const health = await daemon.json<{ runner: number }>('GET', '/healthz');
    expect(health.runner).toBeGreaterThan(1);
    return health.runner;
  };
  const first = await runner();
  process.kill(first, 'SIGSTOP');
  const { code, stdout } = await r.root.run(['list', '-q'], {
    env: { BYREF_ROOT, BYREF_RUN, PATH },
  });
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'web\n' });
  await daemon.ask('GET', '/v1/envs');
  await daemon.until(async () => (await daemon.ask('GET', '/v1/envs')).status === 200);
  process.kill(first, 'SIGKILL');
  const second = await runner();
  expect(second).not.toBe(first);
  process.kill(second, 'SIGKILL');
  await daemon.until(async () => (await daemon.ask('GET', '/healthz')).status === 200);
});
