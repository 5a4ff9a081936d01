/** What is not captured: then nothing of it is left. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { abandonedWorkplaces } from '../support/machine/leftovers.ts';
import { BYREF } from '../support/machine/program.ts';
import { Captures } from './captures.ts';

let captures: Captures;

beforeAll(async () => {
  captures = await Captures.create();
  await captures.captured('app', 'echo app >/usr/share/app');
});
afterAll(() => captures.dispose());
afterEach(async () => {
  expect(await captures.templates()).toEqual(['app@1', 'tiny@1']);
});

async function refused(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await captures.root.byref('template', 'capture', ...words);
  expect(stdout).toBe('');
  return `${code} ${stderr.split('\n')[0]?.replace('byref: ', '')}`;
}

test('an installer that fails, is not there, or writes nothing', async () => {
  const script = 'echo half >/usr/share/half; exit 3';
  const failed = await captures.capture('x', script);
  expect([failed.code, failed.stderr]).toEqual([
    EXIT.error,
    expect.stringContaining('x was not captured: sh ended with status 3\n'),
  ]);
  const on = ['x', '--base', 'tiny', '--'];
  expect(await refused(...on, 'nosuch')).toContain(' nosuch');
  expect(await refused(...on, 'true')).toBe('7 nothing was written that could be stored as x');
  expect(await refused(...on, 'sh', '-c', 'echo >/tmp/x; echo >/root/.bash_history')).toContain(
    'nothing was written',
  );
  expect(await captures.scratchEnvs()).toEqual([]);
  const ignored = await captures.captured('x', script, '--ignore-status');
  expect(ignored.end).toBe('stored');
  await captures.root.ok('template', 'rm', 'x');
});

test('a base in which no command can be begun: that is told, and not as the command', async () => {
  const base = captures.source({ 'bin/true': '' });
  await captures.root.import('bare', base);
  const words = ['template', 'capture', 'x', '--base', 'bare', '--', '/bin/true'];
  // In a process of its own: what programs say in it is on its standard error.
  const { code, stderr } = await captures.root.run(words, { env: captures.root.env });
  expect(code).toBe(EXIT.error);
  // What the program said that failed, and what it was run for.
  expect(stderr).toMatch(/^mount: /m);
  expect(stderr).toContain('the script that makes its /proc, /dev and /tmp ended with status');
  expect(stderr).not.toContain('/bin/true');
  await captures.root.ok('template', 'rm', 'bare');
});

test('a command line that says too little, too much, or what is not there', async () => {
  const said = async (...words: string[]): Promise<string> => {
    const text = await refused(...words);
    expect(text).toMatch(new RegExp(`^${EXIT.usage} `));
    return text.slice(2);
  };
  expect(await said()).toBe('no name of a template was given');
  expect(await said('x', '--base', 'tiny')).toBe('neither a command nor --from-env was given');
  expect(await said('x', '--', 'true')).toContain('--base was not given');
  expect(await said('x', '--from-env', 'e', '--', 'true')).toContain('one is enough');
  expect(await said('x', '--from-env', 'e', '--offline')).toContain('--offline is for a command');
  expect(await said('a b', '--base', 'tiny', '--', 'true')).toContain("can't be the name");
  const on = ['x', '--base', 'tiny'];
  expect(await said(...on, '-e', '1=2', '--', 'true')).toBe('--env 1=2 is not NAME or NAME=VALUE');
  expect(await said(...on, '--workdir', 'opt', '--', 'true')).toContain('is not absolute');
  expect(await said(...on, '-v', '/etc:etc', '--', 'true')).toContain('what is to be seen where');
  expect(await said(...on, '-v', '/:/', '--', 'true')).toContain('what is to be seen where');
  expect(await refused(...on, '-v', '/nosuch', '--', 'true')).toBe('7 there is no /nosuch');
  // Seen through the symlink from outside, it would be the machine's.
  expect(await refused(...on, '-v', '/etc:/bin/x', '--', 'true')).toContain(
    'nothing can be seen at /bin/x: /bin is a symlink in the base',
  );
});

test('names of templates and envs that are not there, or of the wrong kind', async () => {
  const run = ['--', 'true'];
  expect(await refused('x', '--base', 'nosuch', ...run)).toMatch(/^3 .*nosuch/);
  expect(await refused('x', '--base', 'tiny@9', ...run)).toMatch(/^3 .*9/);
  expect(await refused('x', '--base', 'app', ...run)).toMatch(/^2 .*app/);
  expect(await refused('x', '--base', 'tiny', '--app', 'tiny', ...run)).toMatch(/^2 .*tiny/);
  expect(await refused('x', '--from-env', 'nosuch')).toMatch(/^3 .*nosuch/);
  expect(await refused('tiny', '--base', 'tiny', ...run)).toBe(
    '7 there is an OS template tiny; captures are apps',
  );
  expect(await refused('app', '--base', 'tiny', '--app', 'app', ...run)).toContain(
    "app can't be captured on itself",
  );
  await captures.root.import('other', captures.root.directory('other'));
  expect(await refused('app', '--base', 'other', ...run)).toBe(
    '7 app is an app for tiny, not for this base',
  );
  await captures.root.ok('template', 'rm', 'other');
});

test('interrupted or killed while it runs: nothing is left, or the next one takes it away', async () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    const flag = path.join(captures.root.directory('flags'), signal);
    const words = `--base tiny -- sh -c 'echo >/usr/share/x; sleep 1000'`;
    const child = captures.root.background(
      `exec "$1" template capture x -v /dev/null:/tmp/here ${words} 2>"$2"`,
      BYREF,
      flag,
    );
    await expect
      .poll(async () => (await captures.scratchEnvs()).length, { timeout: 20_000 })
      .toBeGreaterThan(0);
    const [env] = await captures.scratchEnvs();
    const written = path.join(captures.root.path, 'scratch', env!, 'usr/share/x');
    await expect
      .poll(async () => (await captures.root.shell(`ls ${written}`, '/')).code, { timeout: 20_000 })
      .toBe(0);
    expect(existsSync(flag)).toBe(true);
    process.kill(child.pid!, signal);
    await expect.poll(() => child.exitCode ?? child.signalCode, { timeout: 20_000 }).not.toBe(null);
    const { stdout } = await captures.root.shell('pgrep -fx "sleep 1000" || true', '/');
    expect(stdout).toBe('');
    if (signal !== 'SIGKILL') expect(await captures.scratchEnvs()).toEqual([]);
  }
  expect(await captures.capture('x', 'exit 1')).toMatchObject({ code: 1 });
  expect(await captures.scratchEnvs()).toEqual([]);
});

test('interrupted while it asks: nothing is stored', async () => {
  const log = path.join(captures.root.directory('logs'), 'log');
  const script = 'echo >/usr/share/x';
  const child = captures.root.background(
    `mkfifo "$2.in"; exec 3<>"$2.in"
     exec "$1" template capture x --base tiny --review -- sh -c '${script}' <&3 >"$2" 2>&1`,
    BYREF,
    log,
  );
  await expect
    .poll(async () => (await captures.root.shell(`cat ${log} || true`, '/')).stdout, {
      timeout: 30_000,
    })
    .toContain('Store it as x@1? [y/N]');
  process.kill(child.pid!, 'SIGINT');
  await expect.poll(() => child.exitCode ?? child.signalCode, { timeout: 20_000 }).not.toBe(null);
  expect(child.exitCode).not.toBe(0);
  expect(await captures.scratchEnvs()).toEqual([]);
  expect(abandonedWorkplaces(captures.root)).toEqual([]);
});
