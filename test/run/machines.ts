import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'vitest';
import { BYREF, type Finished, output, run } from '../support/machine/program.ts';

/** The namespace that plays the machine, and another machine that is connected to it: 10.9.0.1 and 10.9.0.2. */
export class Machines {
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
      'ip address add 10.9.0.2/24 dev in; ip link set in up; ip link set lo up; ip route add default via 10.9.0.1',
    );
    expect(machine).not.toBe(other);
    return made;
  }

  /** Runs a script on the machine (0) or the other one (1). */
  async on(which: 0 | 1, script: string): Promise<string> {
    return output('nsenter', [...this.enter(which), 'sh', '-euc', script]);
  }

  /** Runs byref on the machine. @param timeout in milliseconds, if it is another than usual */
  byref(args: readonly string[], env: NodeJS.ProcessEnv, timeout?: number): Promise<Finished> {
    const options = { env, ...(timeout !== undefined && { timeout }) };
    return run('nsenter', [...this.enter(0), BYREF, ...args], options);
  }

  /** Runs byref on the machine, which must succeed; returns its standard output. */
  async ok(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const { code, stdout, stderr } = await this.byref(args, env);
    expect(code, stdout + stderr).toBe(0);
    return stdout;
  }

  private enter(which: 0 | 1): string[] {
    return ['--net', '--target', String(this.holders[which]!.pid)];
  }

  end(): void {
    for (const holder of this.holders) holder.kill();
  }
}
