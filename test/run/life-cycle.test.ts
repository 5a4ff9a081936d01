/** Envs that run, through the OCI runtime: started, asked, stopped, ended by themselves or by others. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { sh } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

let r: RunRoot;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
});
afterEach(() => r.dispose());

const stateOf = async (name: string): Promise<string | undefined> =>
  (await r.root.json<EnvSummary[]>('list')).find((env) => env.name === name)?.state;

test('an env is started, asked, and stopped; nothing of it is left', async () => {
  await r.root.create('web', 'tiny');
  expect(await r.root.ok('start', 'web')).toMatch(/^web: started \(pid \d+\)\n$/);
  expect(await stateOf('web')).toBe('running');
  expect(await r.root.ok('start', 'web')).toMatch(/runs already/);
  expect(await r.exec('web', 'hostname; id -u; tr "\\0" " " </proc/1/cmdline')).toBe(
    'web\n0\n/dev/byref-init -P ',
  );
  const processes = await r.root.json<{ insidePid: number; uid: number; command: string }[]>(
    'ps',
    'web',
  );
  expect(processes).toMatchObject([{ insidePid: 1, uid: 0, command: '/dev/byref-init -P' }]);
  expect(await r.root.ok('stop', 'web')).toBe('web: stopped\n');
  expect(await stateOf('web')).toBe('stopped');
  expect(await r.root.ok('stop', 'web')).toBe('web: not running\n');
  expect(r.leftovers()).toEqual([]);
});

test('what it writes is the env’s, under the ids that it sees, and is there after a restart', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
  await r.exec('web', 'echo new >/etc/own; chown 1000:1000 /etc/own; useradd alice');
  await r.root.ok('restart', 'web');
  expect(await r.exec('web', 'cat /etc/own; stat -c %u:%g /etc/own; id -un alice')).toBe(
    'new\n1000:1000\nalice\n',
  );
  const { stdout } = await sh('stat -c %u:%g "$1/mnt/web/etc/own"', [r.root.path]);
  expect(stdout).toBe('1000:1000\n');
  expect(await r.exec('web', 'dpkg --verify; dpkg --audit')).toBe('');
});

test('a program has the exit status, input, user, directory and variables that it is given', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('set', 'web', 'environment.COLOUR=red');
  await r.root.ok('start', 'web');
  await r.exec('web', 'useradd --create-home alice');
  const exec = (...words: string[]) => r.root.run(['exec', ...words], { input: 'given' });
  expect(await exec('web', 'sh', '-c', 'exit 7')).toMatchObject({ code: 7 });
  expect(await exec('web', '--', 'sh', '-c', 'kill -9 $$')).toMatchObject({ code: 137 });
  expect(await exec('web', 'cat')).toMatchObject({ code: 0, stdout: 'given' });
  expect(await exec('web', 'nosuch')).toMatchObject({ code: 127 });
  expect(await exec('web', '/etc/passwd')).toMatchObject({ code: 126 });
  const asked = 'id -un; pwd; echo $COLOUR $SIZE $HOME';
  expect(
    await exec('-u', 'alice', '-w', '/tmp', '-e', 'SIZE=9', 'web', 'sh', '-c', asked),
  ).toMatchObject({ code: 0, stdout: 'alice\n/tmp\nred 9 /home/alice\n' });
  expect(await exec('web', '-u', 'bob', '--', 'id')).toMatchObject({ code: 3 });
  expect(await exec('web', 'ls', '-d', '--', '/etc')).toMatchObject({ code: 0, stdout: '/etc\n' });
});

test('an env whose command ends has ended; its output is kept', async () => {
  await r.root.create('job', 'tiny');
  await r.root.ok('set', 'job', 'init=sh -c "echo out; echo err >&2; exit 3"');
  await r.root.ok('start', 'job');
  await expect.poll(() => stateOf('job'), { timeout: 20_000 }).toBe('mounted');
  expect((await r.root.ok('logs', 'job')).split('\n').sort()).toEqual(['', 'err', 'out']);
  expect(await r.root.ok('start', 'job')).toMatch(/started/);
  await expect.poll(() => stateOf('job'), { timeout: 20_000 }).toBe('mounted');
  expect(await r.root.ok('stop', 'job')).toBe('job: not running\n');
  expect(r.leftovers()).toEqual([]);
});

test('--ready waits for the first process, and for what its health command says', async () => {
  await r.root.create('web', 'tiny');
  expect(await r.root.ok('start', '--ready', 'web')).toMatch(/started/);
  await r.root.ok('stop', '--fast', 'web');
  const script = 'rm -f /ready; echo begun; sleep 1; touch /ready; sleep 1000';
  await r.root.ok('set', 'web', `init=["sh","-c","${script}"]`, 'health=test -e /ready');
  const started = await r.root.json<unknown[]>('start', '--ready', 'web');
  expect(started).toMatchObject([{ name: 'web', already: false, ready: { failedUnits: [] } }]);
  expect(await r.exec('web', 'ls /ready')).toBe('/ready\n');
  await r.root.ok('set', 'web', 'health=echo not yet >&2; exit 3');
  const late = await r.root.byref('restart', '--fast', '--ready', '--timeout', '300ms', 'web');
  expect(late.code).toBe(1);
  expect(late.stderr).toContain('web is not ready after 0.3 s');
  expect(late.stderr).toContain('exit status 3, not yet');
  expect(late.stderr).toContain('  begun');
  expect(await stateOf('web')).toBe('running');
  await r.root.ok('set', 'web', 'init=sh -c "echo broken; exit 4"');
  const ended = await r.root.byref('restart', '--fast', '--ready', 'web');
  expect([ended.code, ended.stderr]).toEqual([
    1,
    expect.stringMatching(/has ended with exit status 4[\s\S]*broken/),
  ]);
  expect(await r.root.byref('start', '--timeout', '1s', 'web')).toMatchObject({ code: 2 });
});

test('a program that ignores SIGTERM is killed after the time that it is given', async () => {
  await r.root.create('deaf', 'tiny');
  await r.root.ok('set', 'deaf', `init=sh -c 'trap "" TERM; echo deaf; while :; do sleep 1; done'`);
  await r.root.ok('start', 'deaf');
  await expect.poll(() => r.root.ok('logs', 'deaf')).toContain('deaf');
  expect(await r.root.ok('stop', '-t', '100ms', 'deaf')).toBe('deaf: killed\n');
  expect(r.leftovers()).toEqual([]);
});

test('run: create, start, wait, destroy in one command', async () => {
  const run = (...words: string[]) => r.root.run(['run', ...words], { input: 'given' });
  expect(await run('--rm', 'tiny', 'sh', '-c', 'cat; echo err >&2; exit 5')).toMatchObject({
    code: 5,
    stdout: 'given',
    stderr: 'err\n',
  });
  expect(await run('--rm', 'tiny', 'nosuch')).toMatchObject({ code: 3 });
  expect(await run('tiny', '--rm', '-e', 'A=b', '--', 'sh', '-c', 'echo $A')).toMatchObject({
    stdout: 'b\n',
  });
  expect(await run('-t', 'tiny', 'sh')).toMatchObject({ code: 2 });
  expect(await r.root.json('list')).toEqual([]);
  expect(await run('-d', '--name', 'bg', 'tiny', 'sleep', '60')).toMatchObject({ stdout: 'bg\n' });
  expect(await stateOf('bg')).toBe('running');
  expect(await run('--name', 'kept', 'tiny', 'sh', '-c', 'echo here >/kept')).toMatchObject({
    code: 0,
  });
  expect(await stateOf('kept')).toBe('stopped');
  const kept = await r.root.mount('kept');
  expect((await sh('cat "$1/kept"', [kept])).stdout).toBe('here\n');
});

test('a signal for `run` is the command’s', async () => {
  const child = r.root.background(
    `"$1" run --name asked tiny sh -c 'trap "echo told; exit 4" TERM; echo ready; while :; do sleep 0.1; done' >"$2" & echo $! >"$3"; wait $! || echo "$?" >>"$2"`,
    r.byref,
    path.join(r.root.base, 'out'),
    path.join(r.root.base, 'pid'),
  );
  const said = (): string => readFileSync(path.join(r.root.base, 'out'), 'utf8');
  await expect.poll(said, { timeout: 30_000 }).toContain('ready');
  process.kill(Number(readFileSync(path.join(r.root.base, 'pid'), 'utf8')), 'SIGTERM');
  await expect.poll(said, { timeout: 30_000 }).toBe('ready\ntold\n4\n');
  child.kill();
});

test('what runs is neither unmounted nor destroyed, unless that is forced', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
  expect(await r.root.byref('umount', 'web')).toMatchObject({ code: 6 });
  const refused = await r.root.byref('destroy', 'web');
  expect(refused).toMatchObject({ code: 6 });
  expect(refused.stderr).toContain('byref stop web');
  expect(await r.exec('web', 'echo alive')).toBe('alive\n');
  await r.root.ok('destroy', '--force', 'web');
  expect(r.leftovers()).toEqual([]);
});

test('what is to start with the machine is started in the order of its priorities', async () => {
  for (const [name, ...settings] of [
    ['later', 'boot.autostart=true'],
    ['never'],
    ['first', 'boot.autostart=true', 'boot.autostart.priority=10'],
  ] as const) {
    await r.root.create(name, 'tiny');
    if (settings.length > 0) await r.root.ok('set', name, ...settings);
  }
  const started = await r.root.json<{ name: string }[]>('start', '--autostart');
  expect(started.map(({ name }) => name)).toEqual(['first', 'later']);
  expect(await stateOf('never')).toBe('stopped');
  expect(await r.root.byref('start', '--autostart', 'never')).toMatchObject({ code: 2 });
});

test('an env that was mounted stays so when it is stopped', async () => {
  await r.root.create('web', 'tiny');
  await r.root.mount('web');
  await r.root.ok('start', 'web');
  await r.root.ok('stop', 'web');
  expect(await stateOf('web')).toBe('mounted');
});

test('commands at once: one starts it, and none leaves anything', async () => {
  await r.root.create('web', 'tiny');
  const many = [1, 2, 3, 4].map(() => r.root.byref('start', 'web'));
  const all = await Promise.all(many);
  expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  expect(all.filter(({ stdout }) => stdout.includes('runs already'))).toHaveLength(3);
  await Promise.all([
    r.root.byref('stop', 'web'),
    r.root.byref('restart', 'web'),
    r.root.byref('stop', 'web'),
  ]);
  await r.root.ok('stop', 'web');
  expect(r.leftovers()).toEqual([]);
});

test('a patch reaches a running env; what runs old files is restarted, and nothing else', async () => {
  await r.root.create('old', 'tiny');
  await r.root.create('idle', 'tiny');
  await r.root.ok('set', 'old', 'init=sleep 1000');
  await r.root.ok('start', 'old', 'idle');
  await r.stage('1.1');
  await r.root.ok('patch', 'tiny');
  expect(await r.exec('old', 'cat /etc/release-of-test')).toBe('1.1\n');
  const stale = await r.root.json<{ env: string; path: string }[]>('stale');
  expect(stale.map(({ env, path: at }) => [env, at])).toEqual([['old', '/usr/bin/sleep']]);
  const before = await r.root.json<EnvSummary[]>('list');
  expect(await r.root.ok('restart', '--stale')).toBe('old: restarted as a whole\n');
  const after = await r.root.json<EnvSummary[]>('list');
  expect(after.map(({ pid }, i) => pid === before[i]!.pid)).toEqual([false, true]);
  expect(await r.root.json('stale')).toEqual([]);
  await r.root.ok('rollback', 'tiny');
  expect(await r.exec('idle', 'cat /etc/release-of-test')).toBe('1.0\n');
});

test('a signal, and the last lines of what it said', async () => {
  await r.root.create('job', 'tiny');
  const script = 'trap "echo told; exit 4" USR1; echo one; echo two; while :; do sleep 0.1; done';
  await r.root.ok('set', 'job', `init=["sh", "-c", ${JSON.stringify(script)}]`);
  await r.root.ok('start', 'job');
  await expect.poll(() => r.root.ok('logs', 'job'), { timeout: 20_000 }).toBe('one\ntwo\n');
  expect(await r.root.ok('kill', '-s', 'usr1', 'job')).toMatch(/^job: signal 10 sent/);
  await expect.poll(() => stateOf('job'), { timeout: 20_000 }).toBe('mounted');
  expect(await r.root.ok('logs', '--tail', '1', 'job')).toBe('told\n');
  const { ended } = await r.root.json<{ ended: { code: number } }>('info', 'job');
  expect(ended.code).toBe(4);
  expect(await r.root.byref('kill', 'job')).toMatchObject({ code: 2 });
  expect(await r.root.byref('kill', '-s', 'nosuch', 'job')).toMatchObject({ code: 2 });
});

test('another name, once it is stopped', async () => {
  await r.root.create('web', 'tiny');
  await r.root.create('taken', 'tiny');
  await r.root.ok('start', 'web');
  await r.exec('web', 'echo mine >/mine');
  const rename = (name: string) => r.root.byref('rename', 'web', name);
  expect(await rename('shop')).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('byref stop web'),
  });
  await r.root.ok('stop', 'web');
  expect(await rename('taken')).toMatchObject({ code: 4 });
  expect(await rename('a/b')).toMatchObject({ code: 2 });
  expect(await rename('shop')).toMatchObject({ code: 0, stdout: 'web: renamed to shop\n' });
  await r.root.ok('start', 'shop');
  expect(await r.exec('shop', 'cat /mine')).toBe('mine\n');
  expect(await r.root.byref('info', 'web')).toMatchObject({ code: 3 });
  await r.root.create('web', 'tiny');
  expect(await r.root.findings()).toEqual([]);
});

test('its monitor is killed: the env runs on, and is stopped as ever', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
  process.kill(r.monitor('web'), 'SIGKILL');
  await sleep(50);
  expect(await stateOf('web')).toBe('running');
  expect(await r.exec('web', 'echo alive')).toBe('alive\n');
  await r.root.ok('stop', 'web');
  expect(await stateOf('web')).toBe('stopped');
  expect(r.leftovers()).toEqual([]);
});

test('its driver is killed: the processes fail, and it is started again after a stop', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
  const { driverPid } = await r.root.info('web');
  process.kill(driverPid!, 'SIGKILL');
  await expect.poll(() => stateOf('web'), { timeout: 20_000 }).toBe('dead');
  await r.root.ok('stop', '--fast', 'web');
  expect(await stateOf('web')).toBe('stopped');
  await r.root.ok('start', 'web');
  expect(await r.exec('web', 'echo alive')).toBe('alive\n');
});

test('a privileged env has the machine’s root user, and is listed so', async () => {
  await r.root.ok('create', 'open', '--os', 'tiny', '--privileged', '--set', 'network=host');
  expect(await r.root.ok('list', '-H', '-o', 'state')).toBe('stopped (privileged)\n');
  await r.root.ok('start', 'open');
  const script = 'cut -c 1-40 /proc/self/uid_map | tr -s " "; ls /sys/class/net | grep -c .';
  const said = (await r.exec('open', script)).split('\n');
  expect(said[0]!.trim()).toMatch(/^0 0 4294967295/);
  expect(Number(said[1])).toBe(readdirSync('/sys/class/net').length);
  await r.root.ok('stop', 'open');
  expect(r.leftovers()).toEqual([]);
});

test('a failing start says why, and leaves nothing', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('set', 'web', 'init=/nosuch');
  const failed = await r.root.byref('start', 'web');
  expect(failed).toMatchObject({ code: 3 });
  expect(failed.stderr).toContain('has no program "/nosuch"');
  expect(await stateOf('web')).toBe('stopped');
  await r.root.ok('set', 'web', 'init=', 'limits.cpu.set=4000');
  const refused = await r.root.byref('start', 'web');
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toContain('web was not started');
  expect(await stateOf('web')).toBe('stopped');
  expect(r.leftovers()).toEqual([]);
  expect(readdirSync(path.join(r.root.path, 'envs'))).toContain('1');
});
