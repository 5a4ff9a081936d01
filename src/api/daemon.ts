/**
 * The daemon of a root: its API, the events, and who looks after envs that end. It keeps nothing that matters: what runs is in
 * bundles and mounts, operations are files, so one that is killed and started again goes on where it was.
 */
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { ByrefError } from '../base/error.ts';
import { EXIT } from '../base/exit-codes.ts';
import { runProgram } from '../base/run-program.ts';
import { VERSION } from '../base/version.ts';
import type { EnvSettings } from '../codec/env-settings.ts';
import { commandLineProgram } from '../ipc/entry-point.ts';
import { RunDir } from '../ipc/run-dir.ts';
import { signer, tryLock } from '../native/lock-file.ts';
import { type Log, openLog } from '../observe/log.ts';
import { withStore } from '../services/store-session.ts';
import { metaDir } from '../store/store.ts';
import { type DaemonConfig, readConfig } from './config.ts';
import { DeadEnvs } from './dead-envs.ts';
import { DeviceCopies } from './device-copies.ts';
import { EnvWatch } from './env-watch.ts';
import { EventLog } from './event-log.ts';
import { DaemonMetrics, type PrivateBytes } from './metrics.ts';
import { readOpenApi } from './openapi.ts';
import { Operations } from './operations.ts';
import { RunnerLink } from './runner-link.ts';
import { ScrubTimer } from './scrub-timer.ts';
import { type ApiParts, apiServer, metricsServer } from './server.ts';
import { type EnvPolicy, Supervisor } from './supervisor.ts';

/** What the command line says of a daemon. */
export interface DaemonWishes {
  /** The file with its configuration; undefined: the usual one, if it is there. */
  readonly config: string | undefined;
  /** The root that the command line or the environment names; null: the configuration's. */
  readonly root: string | null;
  readonly standardRoot: string;
}

/** In the run directory, which does not survive a reboot: envs with boot.autostart were started since. */
const BOOTED = 'booted';
const OUTPUT_MAX = 64 * 1024;

/** Runs a daemon until SIGTERM or SIGINT. @throws ByrefError if it can't start, 'locked' if one of this root runs */
export async function runDaemon({
  config: file,
  root: named,
  standardRoot,
}: DaemonWishes): Promise<void> {
  const config = readConfig(file, named, standardRoot);
  const { root } = config;
  process.env['BYREF_LOG'] ??= config.log;
  if (!existsSync(metaDir(root))) {
    throw new ByrefError(
      'notFound',
      `${root} is no root of byref`,
      `Make it: byref init --root ${root}`,
    );
  }
  const run = new RunDir(root);
  run.create();
  const files = run.daemon();
  const lock = tryLock(files.lock);
  if (lock === null) {
    const message = `a daemon of ${root} runs already (pid ${signer(files.lock) ?? '?'})`;
    throw new ByrefError('locked', message, 'End that one first, or use it.');
  }
  const daemon = new Daemon(config, run, openLog({ program: 'daemon', root }));
  try {
    await daemon.start(files.socket);
    await ending();
  } finally {
    await daemon.close();
    lock.release();
  }
}

/** Resolves when this process is asked to end. */
function ending(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
    process.on('SIGHUP', () => undefined);
  });
}

/** The parts of a daemon that runs. */
class Daemon {
  private readonly config: DaemonConfig;
  private readonly run: RunDir;
  private readonly log: Log;
  private readonly events = new EventLog();
  private readonly operations: Operations;
  private readonly runner: RunnerLink;
  private readonly supervisor: Supervisor;
  private readonly watch: EnvWatch;
  private readonly copies: DeviceCopies | null;
  private readonly servers: FastifyInstance[] = [];
  private scrubTimer: ScrubTimer | null = null;
  private recovering = false;

  constructor(config: DaemonConfig, run: RunDir, log: Log) {
    const { root, keepOperations } = config;
    this.config = config;
    this.run = run;
    this.log = log;
    const tell = (what: string, fields: Readonly<Record<string, unknown>>): void => {
      log.info(fields, what);
      this.events.add(what, fields);
    };
    this.operations = new Operations(root, run.operations, keepOperations, (what, operation) => {
      const { id, words, state, exitCode } = operation;
      tell(`operation.${what}`, { operation: id, words, state, exitCode });
    });
    this.runner = new RunnerLink(root, run.runner().socket, log);
    const policies = (): Promise<Map<number, EnvPolicy>> => this.policies();
    const command = (words: readonly string[]): Promise<void> => this.command(words);
    this.supervisor = new Supervisor(root, { policies, run: command, tell, log });
    // A driver that is killed is then not to be replaced.
    this.copies = process.env['BYREF_RESUME'] === '0' ? null : new DeviceCopies(root, log);
    const dead = new DeadEnvs(root, { policies, run: command, log });
    const look = (): void => {
      this.copies?.look();
      void dead.look(this.watch.latest?.envs ?? []);
      this.supervisor.look().catch((error: unknown) => log.warn({ err: error }, 'ended envs'));
    };
    this.watch = new EnvWatch(root, log, tell, look, () => void this.recover());
  }

  /** Takes requests. @param socket where */
  async start(socket: string): Promise<void> {
    await this.runner.started;
    const metrics = new DaemonMetrics(this.config.root, {
      view: () => this.watch.latest,
      operationsRunning: () => this.operations.runningCount,
      privateBytes: async () => {
        const { stdout } = await this.runner.run(['df', '--json']);
        return JSON.parse(stdout.toString('utf8')) as PrivateBytes[];
      },
    });
    const parts: ApiParts = {
      document: readOpenApi(),
      operations: this.operations,
      events: this.events,
      runner: this.runner,
      health: () => this.health(),
      metrics: () => metrics.text(),
    };
    const app = apiServer(parts);
    app.addHook('onResponse', (request, reply, done) => {
      const { method, url } = request;
      this.log.debug({ method, url, status: reply.statusCode, ms: reply.elapsedTime }, 'request');
      done();
    });
    // A socket may be left from a daemon that was killed: we hold the lock, so none is alive.
    rmSync(socket, { force: true });
    await this.listen(app, { path: socket });
    chmodSync(socket, 0o600);
    if (this.config.metrics !== null) {
      await this.listen(metricsServer(parts), addressOf(this.config.metrics));
    }
    this.log.info({ socket, version: VERSION, metrics: this.config.metrics }, 'ready');
    await tellSystemd();
    this.startEnvs();
    this.scrubNowAndThen();
  }

  private scrubNowAndThen(): void {
    const { root, scrubEveryMs: everyMs, scrubRate } = this.config;
    if (everyMs === null) return;
    const words = ['scrub', '--rate', String(scrubRate), '--json'];
    const scrub = async (): Promise<void> => {
      const { id } = this.operations.start({ words, isBackground: true });
      const { exitCode } = await this.operations.wait(id, new AbortController().signal);
      if (exitCode !== EXIT.ok) this.log.warn({ operation: id, exitCode }, 'scrub');
    };
    this.scrubTimer = new ScrubTimer({ root, everyMs, scrub });
  }

  async close(): Promise<void> {
    this.log.info({}, 'ending; envs run on');
    this.scrubTimer?.close();
    this.watch.close();
    this.supervisor.close();
    await this.copies?.close();
    for (const server of this.servers) await server.close();
    this.runner.close();
  }

  private async listen(
    app: FastifyInstance,
    at: { path: string } | { host: string; port: number },
  ): Promise<void> {
    try {
      await app.listen(at);
    } catch (error) {
      const where = 'path' in at ? at.path : `${at.host}:${at.port}`;
      const message = `the daemon can't listen at ${where}: ${(error as Error).message}`;
      throw new ByrefError('error', message, 'Choose another address: docs/reference/daemon.md.');
    }
    this.servers.push(app);
  }

  /** Starts what is to run when the machine boots, once. */
  private startEnvs(): void {
    const mark = path.join(this.run.path, BOOTED);
    if (!this.config.autostart || existsSync(mark)) return;
    const { id } = this.operations.start({ words: ['start', '--autostart', '--json'] });
    const end = this.operations.wait(id, new AbortController().signal);
    void end.then(() => writeFileSync(mark, ''));
  }

  private policies(): Promise<Map<number, EnvPolicy>> {
    const { root } = this.config;
    const patience = { ms: 0, tell: () => undefined };
    return withStore(
      { root, patience, onRecovered: () => undefined, onDeadPatch: refuse },
      'read',
      (store) => {
        const ids = this.watch.latest?.envs ?? [];
        return new Map(ids.map(({ id, name }) => [id, policyOf(name, store.settings(id))]));
      },
    );
  }

  /** Executes a command of the supervisor's. */
  private async command(words: readonly string[]): Promise<void> {
    const { code, stderr } = await this.runner.run(words);
    if (code !== 0) this.log.warn({ words, code, stderr: stderr.toString('utf8') }, 'command');
    this.watch.soon();
  }

  /** Lets a command finish or undo the patch whose process died. */
  private async recover(): Promise<void> {
    if (this.recovering) return;
    this.recovering = true;
    const words = [...commandLineProgram(), 'list', '--quiet', '--root', this.config.root];
    try {
      const { how, stderr } = await runProgram(words, { outputMax: OUTPUT_MAX, ofMore: 'end' });
      const said = stderr.toString('utf8');
      this.log.info({ how, said }, 'a patch whose process died was recovered');
    } catch (error) {
      this.log.warn({ err: error }, 'a patch whose process died is not recovered');
    } finally {
      this.recovering = false;
    }
    this.watch.soon();
  }

  private async health(): Promise<{ ok: boolean } & Record<string, unknown>> {
    // Reads the store, and asks no driver: one that hangs is not the daemon's fault.
    const works = await this.runner.run(['template', 'list', '--quiet']).then(
      ({ code }) => code === 0,
      () => false,
    );
    return {
      ok: works,
      version: VERSION,
      pid: process.pid,
      root: this.config.root,
      runner: this.runner.pid,
      operations: this.operations.runningCount,
    };
  }
}

const policyOf = (name: string, { restart, autostart }: EnvSettings): EnvPolicy => ({
  name,
  restart,
  autostart,
});

function refuse(): never {
  throw new Error('a patch is to be recovered first');
}

function addressOf(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replaceAll(/[[\]]/g, ''), port: Number(text.slice(at + 1)) };
}

/** Tells systemd that the daemon is ready, if systemd started it. */
async function tellSystemd(): Promise<void> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return;
  const words = ['systemd-notify', '--ready', `--pid=${process.pid}`];
  await runProgram(words, { outputMax: OUTPUT_MAX, ofMore: 'end' });
}
