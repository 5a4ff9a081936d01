/** Programs that the exec server of an env runs are what they would be without it: the runtime's own exec is the oracle. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { RunRoot } from '../run/run-root.ts';
import { TestDaemon } from './daemon-root.ts';

let r: RunRoot;
let daemon: TestDaemon;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  daemon = new TestDaemon(r.root);
  await daemon.start();
});
afterEach(async () => {
  await daemon.kill('SIGTERM');
  await r.dispose();
});

/** The surroundings of a client that starts fast, and of one that does without a daemon. */
const fast = (): { env: NodeJS.ProcessEnv } => {
  const { BYREF_ROOT, BYREF_RUN, PATH } = r.root.env;
  return { env: { BYREF_ROOT, BYREF_RUN, PATH } };
};
const plain = (): { env: NodeJS.ProcessEnv } => ({ env: { ...fast().env, BYREF_DAEMON: 'no' } });

const parentOf = async (env: string): Promise<string> =>
  (await r.root.run(['exec', env, 'sh', '-c', 'cat /proc/$PPID/comm'], fast())).stdout.trim();

/** Runs programs until the exec server does so: the first one has it started. */
async function untilServed(env: string): Promise<void> {
  await daemon.until(async () => (await parentOf(env)) === 'byref-exec');
}

test('a program has the same confinement, surroundings, input, output and status', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
  await r.exec(
    'web',
    'groupadd -g 29 sound && useradd --create-home -G sound alice && echo not a program >/notes; chmod 755 /notes',
  );
  await untilServed('web');
  const compare = async (words: readonly string[], input = ''): Promise<string> => {
    const served = await r.root.run(['exec', ...words], { ...fast(), input });
    expect(served, words.join(' ')).toEqual(
      await r.root.run(['exec', ...words], { ...plain(), input }),
    );
    return served.stdout;
  };
  const status =
    "grep -E '^(Umask|Uid|Gid|Groups|NoNewPrivs|Seccomp|Cap[A-Z][a-z]*|Sig(Blk|Ign|Cgt)|ShdPnd):' /proc/self/status";
  const surroundings = [
    status,
    'cat /proc/self/cgroup /proc/self/limits /proc/self/oom_score_adj; readlink /proc/self/ns/*; env | sort; pwd; id; ls /proc/self/fd',
    'cat /proc/self/stat | cut -d" " -f 19 # nice',
  ].join('; ');
  for (const user of ['root', 'alice', 'alice:sound', '1234', '0:5'])
    expect(await compare(['-u', user, 'web', 'sh', '-c', surroundings])).toContain('PATH=');
  expect(await compare(['-e', 'A=b c', '-w', '/tmp', 'web', 'sh', '-c', 'echo "$A" in $PWD'])).toBe(
    'b c in /tmp\n',
  );
  expect(await compare(['web', 'cat'], 'given')).toBe('given');
  for (const script of [
    'exit 7',
    'kill -9 $$',
    'echo out; echo err >&2',
    'sleep 100 >/dev/null 2>&1 & echo left',
  ])
    await compare(['web', 'sh', '-c', script]);
  // What can't be started is said in the runtime's words, with its status.
  for (const words of [['nothing-like-it'], ['/etc/passwd'], ['/notes'], ['/bin'], ['']])
    await compare(['web', ...words]);
  await compare(['-w', '/none', 'web', 'true']);
  await compare(['-w', '/root', '-u', 'alice', 'web', 'pwd']);
  expect(await parentOf('web')).toBe('byref-exec');
});

test('signals are for the program; one whose client was killed goes on; the end of the env ends it', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
  await untilServed('web');
  const start = async (script: string): Promise<ChildProcess> => {
    const child = spawn(
      r.byref,
      ['exec', 'web', 'bash', '-c', `${script}; echo ready; while :; do sleep 0.05; done`],
      {
        ...fast(),
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await once(child.stdout, 'data');
    return child;
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
    const child = await start(`trap "exit 9" ${signal.slice(3)}`);
    child.kill(signal);
    expect(await once(child, 'exit'), signal).toEqual([9, null]);
  }
  const left = await start('trap "touch /heard; exit" TERM; echo $$ >/left');
  left.kill('SIGKILL');
  await once(left, 'exit');
  expect(await r.exec('web', 'cat /proc/$(cat /left)/comm')).toBe('bash\n');
  const end = once(await start(':'), 'exit');
  await r.root.ok('stop', 'web', '--fast');
  expect(await end).toEqual([137, null]);
});

test('a server that was killed, stopped, or is not let in is done without', async () => {
  await r.root.create('web', 'tiny');
  await r.root.ok('start', 'web');
  await untilServed('web');
  const server =
    'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = byref-exec ] && basename $p; done | sort -n | head -1';
  // What it holds of the machine: its socket, and what the runtime gives any program.
  const held = `ls -l /proc/$(${server})/fd`;
  expect(
    await r.exec(
      'web',
      `${held} | grep -vE "/dev/null|socket:|anon_inode:.signalfd|^total" || true`,
    ),
  ).toBe('');
  await r.exec('web', `kill -STOP $(${server})`);
  expect(await r.root.run(['exec', 'web', 'echo', 'there'], fast())).toMatchObject({
    code: 0,
    stdout: 'there\n',
  });
  await r.exec('web', `kill -9 $(${server})`);
  expect(await r.root.run(['exec', 'web', 'echo', 'there'], fast())).toMatchObject({
    code: 0,
    stdout: 'there\n',
  });
  await untilServed('web');
  await r.root.ok('set', 'web', 'limits.processes=20');
  const many = 'for i in $(seq 30); do sleep 100 & done 2>/dev/null; wait';
  const bomb = spawn(r.byref, ['exec', 'web', 'bash', '-c', many], { ...fast(), stdio: 'ignore' });
  await daemon.until(async () => (await r.root.run(['exec', 'web', 'true'], fast())).code !== 0);
  bomb.kill();
  await r.root.ok('stop', 'web', '--fast');
});
