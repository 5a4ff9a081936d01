import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isAlive } from '../../src/base/proc.ts';
import { type Ended, type RunOptions, runProgram } from '../../src/base/run-program.ts';

const run = (script: string, options: Partial<RunOptions> = {}): Promise<Ended> =>
  runProgram(['/bin/sh', '-c', script], { outputMax: 100, ofMore: 'end', ...options });

const shown = ({ code, how, stdout, stderr }: Ended): unknown[] => [
  code,
  how,
  stdout.toString(),
  stderr.toString(),
];

describe('a program', () => {
  it.each<[string, string, Partial<RunOptions>, unknown[]]>([
    ['ends well', 'echo out; echo err >&2', {}, [0, 'exit status 0', 'out\n', 'err\n']],
    ['fails', 'exit 3', {}, [3, 'exit status 3', '', '']],
    ['is killed', 'kill -SEGV $$', {}, [null, 'signal SIGSEGV', '', '']],
    ['takes too long', 'exec sleep 60', { timeoutMs: 50 }, [null, 'no end after 0.05 s', '', '']],
    ['has an empty input', 'cat', {}, [0, 'exit status 0', '', '']],
    ['is in the root', 'pwd', {}, [0, 'exit status 0', '/\n', '']],
    ['has other variables', 'echo $A', { env: { A: 'b' } }, [0, 'exit status 0', 'b\n', '']],
  ])('that %s', async (_what, script, options, expected) => {
    expect(shown(await run(script, options))).toEqual(expected);
  });

  it('that says much is heard to its end, or ended', async () => {
    const script = 'i=0; while [ $i -lt 5000 ]; do echo $i; i=$((i+1)); done';
    const { code, stdout } = await run(script, { outputMax: 10 });
    expect([code, stdout.toString()]).toEqual([0, '4998\n4999\n']);
    const { code: none, how } = await run('exec yes', { ofMore: 'none' });
    expect([none, how]).toEqual([null, 'more output than 100 bytes']);
    const short = await run('head -c 101 /dev/zero', { ofMore: 'none' });
    expect([short.code, short.how]).toEqual([null, 'more output than 100 bytes']);
    const all = await run('head -c 1000000 /dev/zero', { outputMax: 1_000_000, ofMore: 'none' });
    expect([all.code, all.stdout.length]).toEqual([0, 1_000_000]);
  });

  it('that does not exist is not started', async () => {
    const ended = await runProgram(['/no/such/program'], { outputMax: 1, ofMore: 'end' });
    const how = 'it could not be started: spawn /no/such/program ENOENT';
    expect(ended).toMatchObject({ code: null, notStarted: 'ENOENT', how });
  });

  it.each(['before', 'after'])(
    'is killed by a signal that is aborted %s its start',
    async (when) => {
      const controller = new AbortController();
      if (when === 'before') controller.abort();
      const ended = run('exec sleep 60', { signal: controller.signal });
      controller.abort();
      expect(shown(await ended)).toEqual([null, 'it was interrupted', '', '']);
    },
  );

  it('that leaves another one behind is not waited for any longer than it may linger', async () => {
    const { code, stdout } = await run('echo said; sleep 60 & echo $!', { lingerMs: 20 });
    const [said, pid] = stdout.toString().trim().split('\n');
    expect([code, said, isAlive(Number(pid))]).toEqual([0, 'said', true]);
    process.kill(Number(pid), 'SIGKILL');
  });

  it('in a session of its own ends with all that it started', async () => {
    const script = 'sleep 60 & echo $!; wait';
    const { how, stdout } = await run(script, { timeoutMs: 200, ownSession: true });
    expect(how).toBe('no end after 0.2 s');
    // Its parent is gone, so the system has to take note of it first.
    while (isAlive(Number(stdout.toString()))) await sleep(5);
  });

  it('gets no descriptor of ours', async () => {
    const fd = openSync('/dev/null', 'r');
    const { stdout } = await run('ls -l /proc/self/fd', { outputMax: 4096 });
    closeSync(fd);
    expect(stdout.toString()).toContain(' 0 -> /dev/null');
    expect(stdout.toString()).not.toContain(` ${fd} -> `);
  });
});
