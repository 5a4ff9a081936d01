/** Moves an env to another machine, or makes a copy of it there: docs/internals/adr/0040-a-move-is-confirmed.md. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { EnvLock } from '../driver/delta/env-lock.ts';
import type { CopyHooks, StillHooks } from '../manager/envs/copy-at-rest.ts';
import { destroyLocked } from '../manager/envs/destroy.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { lockLifeCycle, stopProcesses } from '../manager/envs/runtime/life-cycle.ts';
import { wordsOf } from '../manager/envs/settings.ts';
import { envState } from '../manager/envs/state.ts';
import { STANDARD_UMOUNT, umountEnv } from '../manager/envs/umount.ts';
import type { FileLock } from '../native/lock-file.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { stackNames, streamBackup } from './backup-env.ts';
import { type Hello, type Message, MOVE_PROTOCOL, type Received, Wire } from './move-wire.ts';
import { needStopped } from './need-stopped.ts';
import { startEnv } from './start-env.ts';

/** How often, and how long after each other, the other side is asked what became of an env. */
const ASKED = 5;
const ASK_AGAIN_MS = 1000;

/** Where an env goes, and how. */
export interface MoveOptions {
  readonly host: string;
  /** The name that it has there. */
  readonly name: string;
  /** True: it stays here as it is, and there is another one like it. */
  readonly keep: boolean;
  /** A command that runs a command line on a host, as ssh does: quoted as for a shell. */
  readonly rsh: string;
  /** The command line of the other side. */
  readonly receiver: string;
  /** How long its programs may take to end, in milliseconds. */
  readonly stopMs: number;
}

/** The caller's part while an env is moved. */
export interface MoveHooks extends CopyHooks {
  /** Hears sentences about what goes on. */
  readonly note: (text: string) => void;
  /** Hears each line that the other side, or what leads to it, says to people. */
  readonly hear: (line: string) => void;
}

/** An env that was moved, or copied. */
export interface EnvMoved {
  readonly env: number;
  readonly name: string;
  readonly host: string;
  /** The env as the other side has it. */
  readonly there: Received;
  /** False: it is still here, too. */
  readonly moved: boolean;
  /** Bytes that were sent, and the versions of templates that were among them, as NAME@VERSION. */
  readonly bytes: number;
  readonly versions: readonly string[];
}

/**
 * Sends an env to another machine. To be moved, it is stopped; there it is started if it ran here. It is removed here only when the other side has said that it is
 * whole there. The store is open for writing.
 *
 * Whatever ends it before that leaves the env here as it was, running if it ran, and nothing there. If the connection ends between the confirmation and
 * the answer to it, the other side is asked on another connection; if it can't be, the env stays here, stopped, so that it does not run twice.
 * @throws ByrefError 'busy' if it has snapshots, which stay behind; 'unreachable', 'badInput'; what the other side says
 */
export async function moveEnv(
  store: Store,
  row: EnvRow,
  options: MoveOptions,
  hooks: MoveHooks,
): Promise<EnvMoved> {
  const { host, name, keep } = options;
  const { root } = store;
  refuseHost(host);
  if (!keep) refuseSnapshots(store, row);
  const start = !keep && new BundleDir(root, row.id).firstProcess() !== null;
  const hello: Hello = {
    ...{ byref: 'move', protocol: MOVE_PROTOCOL, move: randomBytes(16).toString('hex'), name },
    ...{ stack: stackNames(store, row, () => false), sameIdentity: !keep, start },
  };
  const far = new FarSide(options, hooks);
  let still: Still | null = null;
  let isGone = false;
  try {
    await orSaid(far.wire, far.wire.send(hello));
    const { need = [] } = await store.pause(() => far.wire.receive());
    if (!keep) still = await Still.of(store, row, options.stopMs, hooks);
    const bytes = await send(store, row, far.wire, new Set(need), { ...hooks, ...still?.hooks });
    failpoint('move-sent');
    await store.pause(() => far.wire.receive());
    failpoint('move-whole');
    const there = await confirm(store, far, hello, options, hooks);
    failpoint('move-done');
    if (still !== null) {
      await still.remove(store, row);
      isGone = true;
    }
    const versions = hello.stack.filter(({ identity }) => need.includes(identity));
    return {
      ...{ env: row.id, name: row.name, host, there, moved: !keep, bytes },
      versions: versions.map((each) => `${each.template}@${each.version}`),
    };
  } catch (error) {
    const isStopped = new BundleDir(root, row.id).firstProcess() === null;
    if (start && isStopped && !(error instanceof Unknown)) {
      await still?.release();
      still = null;
      hooks.note(`${row.name} is started here again`);
      await startEnv(store, row, {}, hooks);
    }
    throw error;
  } finally {
    if (!isGone) await still?.release();
    await far.close();
  }
}

/** What begins like an option, ssh would take for one. */
function refuseHost(host: string): void {
  if (host !== '' && !host.startsWith('-')) return;
  throw new ByrefError('usage', `"${host}" is no host`, 'Name it as ssh does: user@host.');
}

function refuseSnapshots(store: Store, { id, name }: EnvRow): void {
  const count = store.snapshots(id).length;
  if (count === 0) return;
  const hint = `Remove them (byref snapshot list ${name}), or leave the env here, too, with --keep.`;
  throw new ByrefError('busy', `${name} has snapshots, which would be lost: ${count}`, hint);
}

/** An env that stands still, stopped, until it is gone or goes on here: nobody starts or mounts it meanwhile. */
class Still {
  readonly hooks: Required<Pick<StillHooks, 'locks'>>;
  private readonly root: string;
  private readonly env: number;

  private constructor(root: string, env: number, lifeCycle: FileLock, delta: EnvLock | null) {
    this.root = root;
    this.env = env;
    this.hooks = { locks: { lifeCycle, delta } };
  }

  static async of(store: Store, row: EnvRow, timeoutMs: number, hooks: CopyHooks): Promise<Still> {
    const { root } = store;
    const lock = await lockLifeCycle(root, row, hooks.patience);
    try {
      await stopProcesses(root, row.id, { timeoutMs });
      await umountEnv(store, await envState(store, row), STANDARD_UMOUNT);
      await needStopped(store, row, '');
      const directory = envDir(root, row.id);
      const delta = existsSync(directory) ? EnvLock.acquire(directory) : null;
      return new Still(root, row.id, lock, delta);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Removes the env. */
  async remove(store: Store, row: EnvRow): Promise<void> {
    const { lifeCycle, delta } = this.hooks.locks;
    await destroyLocked(store, row, delta);
    rmSync(new BundleDir(this.root, this.env).lock, { force: true });
    lifeCycle.release();
  }

  /** Lets others have it. */
  async release(): Promise<void> {
    const { lifeCycle, delta } = this.hooks.locks;
    await delta?.release(delta.wasClean && !delta.wasEmpty);
    lifeCycle.release();
  }
}

/** Waits for what is sent. If that fails, the other side may have said why: then that is thrown. */
async function orSaid<T>(wire: Wire, sent: Promise<T>): Promise<T> {
  try {
    return await sent;
  } catch (error) {
    if (error instanceof ByrefError && error.code === 'unreachable') await wire.receive();
    throw error;
  }
}

/** Sends the backup. */
async function send(
  store: Store,
  row: EnvRow,
  wire: Wire,
  need: ReadonlySet<string>,
  hooks: StillHooks,
): Promise<number> {
  const options = {
    ...{ includes: (identity: string) => need.has(identity), base: null },
    sink: (bytes: Buffer) => wire.sendData(bytes),
  };
  const { bytes } = await orSaid(wire, streamBackup(store, row, options, hooks));
  await orSaid(wire, wire.sendEnd());
  return bytes;
}

/** It is not known whether the other side has the env. */
class Unknown extends ByrefError {}

async function confirm(
  store: Store,
  far: FarSide,
  hello: Hello,
  options: MoveOptions,
  hooks: MoveHooks,
): Promise<Received> {
  let cause: unknown;
  try {
    await far.wire.send({ confirm: true });
    const { done } = await store.pause(() => far.wire.receive());
    if (done !== undefined) return done;
  } catch (error) {
    if (error instanceof ByrefError && error.code !== 'unreachable') throw error;
    cause = error;
  }
  const has = await store.pause(() => ask({ ...hello, byref: 'ask' }, options, hooks));
  if (has !== null && has !== undefined) return has;
  if (has === null) throw cause;
  const { host, name } = options;
  throw new Unknown(
    'unreachable',
    `the connection to ${host} ended as it was to confirm, and it can't be asked whether it has ${name}`,
    `Look there: byref list. If it has ${name}, destroy the one here; else start the one here again.`,
  );
}

/** Asks the other side for an env. null: it does not have it. undefined: it does not answer. */
async function ask(
  hello: Hello,
  options: MoveOptions,
  { hear }: MoveHooks,
): Promise<Received | null | undefined> {
  for (let tries = 1; tries <= ASKED; tries++) {
    const far = new FarSide(options, { hear, signal: new AbortController().signal });
    try {
      await far.wire.send(hello);
      const { has }: Message = await far.wire.receive();
      if (has !== undefined) return has;
    } catch {
      // As below.
    } finally {
      await far.close();
    }
    await sleep(ASK_AGAIN_MS);
  }
  return undefined;
}

/** `byref receive` on the other machine. */
class FarSide {
  readonly wire: Wire;
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;

  constructor(
    { host, rsh, receiver }: MoveOptions,
    { hear, signal }: Pick<MoveHooks, 'hear' | 'signal'>,
  ) {
    const [program = '', ...words] = wordsOf(rsh, '--rsh');
    // Not with us, when a terminal's group gets a signal: it is told by the end of the connection.
    const child = spawn(program, [...words, host, receiver], {
      ...{ stdio: ['pipe', 'pipe', 'pipe'], detached: true },
    });
    this.child = child;
    this.ended = once(child, 'close').catch(() => undefined);
    createInterface({ input: child.stderr }).on('line', hear);
    this.wire = new Wire(`the connection to ${host}`, child.stdout, child.stdin);
    signal.addEventListener('abort', () => child.stdin.destroy(), { once: true });
  }

  async close(): Promise<void> {
    this.child.stdin!.destroy();
    this.child.stdout!.destroy();
    await this.ended;
  }
}
