/** The network of running envs, on a machine of their own: a network namespace in which byref runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { ByrefError } from '../../src/base/error.ts';
import { parsePorts } from '../../src/manager/envs/network/ports.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { BYREF, type Finished, output, run } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

/** The namespace that plays the machine, and another machine that is connected to it: 10.9.0.1 and 10.9.0.2. */
class Machines {
  readonly holders: readonly ChildProcess[];

  private constructor(holders: readonly ChildProcess[]) {
    this.holders = holders;
  }

  static async create(): Promise<Machines> {
    const holders = ['machine', 'other'].map(() =>
      spawn('unshare', ['--net', 'sh', '-c', 'echo made; exec sleep infinity'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );
    await Promise.all(holders.map(({ stdout }) => once(stdout, 'data')));
    const made = new Machines(holders);
    const [machine, other] = holders.map(({ pid }) => String(pid));
    await made.on(
      0,
      `ip link add out type veth peer name in netns ${other!}; ip address add 10.9.0.1/24 dev out
       ip link set out up; ip link set lo up`,
    );
    await made.on(
      1,
      'ip address add 10.9.0.2/24 dev in; ip link set in up; ip route add default via 10.9.0.1',
    );
    expect(machine).not.toBe(other);
    return made;
  }

  /** Runs a script on the machine (0) or the other one (1). */
  async on(which: 0 | 1, script: string): Promise<string> {
    return output('nsenter', [...this.enter(which), 'sh', '-euc', script]);
  }

  /** Runs byref on the machine. */
  byref(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Finished> {
    return run('nsenter', [...this.enter(0), BYREF, ...args], { env });
  }

  private enter(which: 0 | 1): string[] {
    return ['--net', '--target', String(this.holders[which]!.pid)];
  }

  end(): void {
    for (const holder of this.holders) holder.kill();
  }
}

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

  async function ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await machines.byref(args, env);
    expect(code, stdout + stderr).toBe(0);
    return stdout;
  }

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
