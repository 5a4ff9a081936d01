import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { output } from './program.ts';

/** A server of ssh with keys of its own, for root. */
export class SshServer {
  /** What reaches it: ssh, but for the host. It notices in seconds that the other side is gone. */
  readonly rsh: string;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, rsh: string) {
    this.child = child;
    this.rsh = rsh;
  }

  /**
   * Starts one.
   * @param directory an empty one, for its files @param address where it listens @param port the same
   * @param enter words before its command line: those that enter another namespace
   */
  static async start(
    directory: string,
    address: string,
    port: number,
    enter: readonly string[] = [],
  ): Promise<SshServer> {
    const file = (name: string): string => path.join(directory, name);
    for (const key of ['host', 'client'])
      await output('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(key)]);
    // Where it separates privileges.
    mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    const lines = [
      ...[`ListenAddress ${address}:${port}`, `HostKey ${file('host')}`, 'PidFile none'],
      ...[`AuthorizedKeysFile ${file('client.pub')}`, 'StrictModes no', 'UsePAM no'],
      ...['PermitRootLogin yes', 'ClientAliveInterval 1', 'ClientAliveCountMax 2'],
    ];
    writeFileSync(file('config'), `${lines.join('\n')}\n`);
    const words = [...enter, '/usr/sbin/sshd', '-D', '-e', '-f', file('config')];
    const [program = '', ...others] = words;
    const child = spawn(program, others, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    for await (const line of createInterface({ input: child.stderr }))
      if (line.includes('listening')) break;
    child.stderr.resume();
    const options = [
      ...[`-i ${file('client')}`, `-p ${port}`, '-o StrictHostKeyChecking=no', '-o LogLevel=ERROR'],
      ...[
        '-o UserKnownHostsFile=/dev/null',
        '-o ServerAliveInterval=1',
        '-o ServerAliveCountMax=2',
      ],
    ];
    return new SshServer(child, `ssh ${options.join(' ')}`);
  }

  /** Ends it, with all sessions. */
  async end(): Promise<void> {
    const ended = once(this.child, 'close');
    process.kill(-this.child.pid!, 'SIGKILL');
    await ended;
  }
}
