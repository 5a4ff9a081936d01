import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'vitest';
import { type Finished, run, sh } from '../support/machine/program.ts';
import { inEnvWords } from '../support/packages/debian.ts';

const START_MS = 60_000;

/**
 * Starts nginx, Redis and PostgreSQL as their packages set them up, and says so. The shell stays: it is the
 * init process of what runs there.
 */
const START = `
ip link set lo up
install -d -o postgres -g postgres /run/postgresql
install -d -o redis -g redis /run/redis
pg_ctlcluster $(pg_lsclusters --no-header | cut -d ' ' -f 1,2) start
nginx
setpriv --reuid redis --regid redis --init-groups \
  redis-server /etc/redis/redis.conf --daemonize no --pidfile /run/redis/pid >/dev/null &
touch /run/started
sleep infinity &
wait`;

const STOP = `
pg_ctlcluster $(pg_lsclusters --no-header | cut -d ' ' -f 1,2) stop -m fast
nginx -s quit 2>/dev/null
redis-cli shutdown save`;

/** Asks a server on the loopback interface, and prints what it answers: $1 a port, $2 what to say, $3 what ends the answer. */
const ASK = `
const [, port, text, end] = process.argv;
const socket = require('node:net').connect(Number(port), '127.0.0.1');
let answer = '';
socket.setTimeout(10_000, () => process.exit(1));
socket.on('data', (bytes) => {
  answer += bytes;
  if (new RegExp(end).test(answer)) socket.end();
});
socket.on('close', () => process.stdout.write(answer));
socket.write(text);`;

/** The services of one mounted env, in a network of their own. */
export class Services {
  private readonly child: ChildProcess;
  /** Of the shell that started them. */
  private pid = '';

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(mountpoint: string): Promise<Services> {
    const [word = '', ...words] = inEnvWords(mountpoint, START);
    const child = spawn(word, words, {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const services = new Services(child);
    try {
      await expect.poll(() => services.isUp(), { timeout: START_MS, message: said }).toBe(true);
    } catch (cause) {
      await services.kill();
      throw new Error(`the services did not start: ${said}`, { cause });
    }
    return services;
  }

  private async isUp(): Promise<boolean> {
    if (this.child.exitCode !== null) throw new Error('the shell has ended');
    const { stdout } = await sh('pgrep -P "$1" | head -1', [String(this.child.pid)]);
    this.pid = stdout.trim();
    if (this.pid === '') return false;
    const { code } = await this.sh('test -e /run/started && [ "$(redis-cli ping)" = PONG ]');
    if (code !== 0) return false;
    return (
      (await run('nsenter', ['-t', this.pid, '-n', 'ip', 'link', 'set', 'lo', 'up'])).code === 0
    );
  }

  /** Runs a shell script in the env, beside the services. */
  sh(script: string): Promise<Finished> {
    const into = ['--target', this.pid, '--mount', '--pid', '--net', '--root', '--wdns=/'];
    const clean = ['/usr/bin/env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C'];
    return run('nsenter', [...into, '--', ...clean, 'bash', '--norc', '-euc', script]);
  }

  /** What the web server has at "/". */
  async page(): Promise<string> {
    const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    return this.ask(80, request, '$^');
  }

  /** What Redis answers to one command, as it says it. */
  redis(...words: string[]): Promise<string> {
    return this.ask(6379, `${words.join(' ')}\r\n`, '\\r\\n$');
  }

  /** Rows that PostgreSQL answers with, as psql prints them; its own superuser asks. */
  async sql(statement: string): Promise<string> {
    const psql = `runuser -u postgres -- psql -v ON_ERROR_STOP=1 -qAtc "${statement}"`;
    const { code, stdout, stderr } = await this.sh(`cd /; ${psql}`);
    expect(code, stderr).toBe(0);
    return stdout.trim();
  }

  private async ask(port: number, text: string, end: string): Promise<string> {
    const words = ['-t', this.pid, '-n', process.execPath, '-e', ASK, String(port), text, end];
    const { code, stdout, stderr } = await run('nsenter', words);
    expect(code, `port ${port}: ${stderr}`).toBe(0);
    return stdout;
  }

  /** As an administrator stops them; what is left of them ends, too. */
  async stop(): Promise<void> {
    const { code, stdout, stderr } = await this.sh(STOP);
    await this.kill();
    expect(code, stdout + stderr).toBe(0);
  }

  async kill(): Promise<void> {
    const { pid, exitCode, signalCode } = this.child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const exited = once(this.child, 'exit');
    process.kill(-pid, 'SIGKILL');
    await exited;
  }
}
