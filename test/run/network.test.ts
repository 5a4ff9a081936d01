/** The network of running envs, on a machine of their own: a network namespace in which byref runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { ByrefError } from '../../src/base/error.ts';
import { parsePorts } from '../../src/manager/envs/network/ports.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { Machines } from './machines.ts';
import { RunRoot } from './run-root.ts';

describe('a published port', () => {
  it.each([
    ['8080:80', { hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    ['53:5353/udp', { hostPort: 53, containerPort: 5353, protocol: 'udp' }],
    ['127.0.0.1:1:2', { hostIP: '127.0.0.1', hostPort: 1, containerPort: 2, protocol: 'tcp' }],
  ])('%s', (text, mapping) => {
    expect(parsePorts([text])).toEqual([mapping]);
  });

  it.each(['80', '0:80', '80:70000', 'a:b', '80:80/icmp', ':80', ''])('%s is refused', (text) => {
    expect(() => parsePorts([text])).toThrow(ByrefError);
  });
});

describe('envs on a bridge', () => {
  let r: RunRoot;
  let machines: Machines;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    await RunRoot.prepare();
    r = await RunRoot.create();
    env = { ...r.root.env, BYREF_NETWORK: 'bridge' };
    machines = await Machines.create();
    for (const name of ['web', 'client']) await r.root.create(name, 'tiny');
    await ok('set', 'web', 'ports=8080:80');
    await ok('start', 'web', 'client');
  });
  afterAll(async () => {
    await ok('stop', '--all', '--fast');
    const left = await machines.on(
      0,
      'ip -o link | grep -v " \\(lo\\|out\\|byref0\\)[@:]" || :; iptables-save | grep -i "env-" || :',
    );
    await r.dispose();
    machines.end();
    expect(left).toBe('');
  });

  const ok = (...args: string[]): Promise<string> => machines.ok(args, env);

  const addressOf = async (name: string): Promise<string> => {
    const list = JSON.parse(await ok('list', '--json')) as EnvSummary[];
    return list.find((each) => each.name === name)?.address ?? '';
  };

  /** Starts a program in an env that says a line to all who connect. */
  async function serve(name: string, port: number): Promise<() => void> {
    const { pid } = JSON.parse(await ok('info', name, '--json')) as { pid: number };
    const server = spawn(
      'nsenter',
      [
        ...['--net', '--target', String(pid), process.execPath, '-e'],
        `require('net').createServer((s) => s.end('hello from ${name}\\n')).listen(${port}, '0.0.0.0', () => console.log('ready'))`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(server.stdout, 'data');
    return () => server.kill();
  }

  /** What a server says to a client on one of the machines. */
  const ask = (which: 0 | 1, host: string, port: number): Promise<string> =>
    machines.on(which, `exec bash -c "exec 3<>/dev/tcp/${host}/${port}; cat <&3"`);

  test('each has an address of its own, and reaches the other', async () => {
    const [web, client] = [await addressOf('web'), await addressOf('client')];
    expect(web).toMatch(/^10\.111\./);
    expect(client).toMatch(/^10\.111\./);
    expect(web).not.toBe(client);
    const end = await serve('web', 80);
    const talk = `exec 3<>/dev/tcp/${web}/80; cat <&3`;
    expect(await ok('exec', 'client', '--', 'bash', '-c', talk)).toBe('hello from web\n');
    expect(await ask(0, web, 80)).toBe('hello from web\n');
    end();
  });

  test('a published port is reached from another machine, and the other machine from the env', async () => {
    const end = await serve('web', 80);
    expect(await ask(1, '10.9.0.1', 8080)).toBe('hello from web\n');
    end();
    const listening = spawn('nsenter', [
      ...['--net', '--target', String(machines.holders[1]!.pid), process.execPath, '-e'],
      `require('net').createServer((s) => s.end('hello from outside\\n')).listen(7000, () => console.log('ready'))`,
    ]);
    await once(listening.stdout, 'data');
    const talk = 'exec 3<>/dev/tcp/10.9.0.2/7000; cat <&3';
    expect(await ok('exec', 'client', '--', 'bash', '-c', talk)).toBe('hello from outside\n');
    listening.kill();
  });

  test('a stop gives the address and the ports back', async () => {
    await ok('restart', 'web');
    expect(await addressOf('web')).toMatch(/^10\.111\./);
    await ok('stop', 'web');
    expect(await addressOf('web')).toBe('');
    expect(await machines.on(0, 'iptables-save | grep -c "dport 8080" || :')).toBe('0\n');
    await ok('start', 'web');
  });

  test('a port that is taken by another env is refused with a sentence', async () => {
    await ok('set', 'client', 'ports=8080:80');
    await ok('stop', '--fast', 'client');
    const { code, stderr } = await machines.byref(['start', 'client'], env);
    expect([code, stderr]).toEqual([6, expect.stringContaining('8080')]);
    await ok('set', 'client', 'ports=');
    await ok('start', 'client');
  });
});
