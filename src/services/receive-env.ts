/** The other side of `byref move`: takes an env from a connection. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { isNoSpace } from '../base/no-space.ts';
import { RunDir } from '../ipc/run-dir.ts';
import { destroyEnv } from '../manager/envs/destroy.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { ownScratch } from '../manager/sandbox/owner.ts';
import { nextScratchName } from '../manager/sandbox/scratch-env.ts';
import { type FileLock, LockFile } from '../native/lock-file.ts';
import { refuseScratchName } from '../store/names.ts';
import { waitUntil } from '../store/patience.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { type Hello, type Message, MOVE_PROTOCOL, type Received, Wire } from './move-wire.ts';
import { findVersion, restoreAs } from './restore-env.ts';
import { startEnv } from './start-env.ts';
import { interruptible, type StoreSession, withStore } from './store-session.ts';

const RECEIVED_FILE = 'received';

/** The caller's part while an env is received. */
export interface ReceiveHooks {
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal;
  /** Hears sentences about what the env does not have, or has otherwise. */
  readonly note: (text: string) => void;
}

/**
 * Takes an env, or answers what became of one. Nothing of it is seen before the sender has confirmed: until then it has the name of a throw-away
 * env of this process, so of one that is killed it goes as those do. From then on it stays, unless it is to be started and can't be.
 * @throws what was also told to the sender
 */
export async function receiveEnv(
  session: StoreSession,
  input: Readable,
  output: Writable,
  hooks: ReceiveHooks,
): Promise<void> {
  const wire = new Wire('the sender', input, output);
  try {
    const hello = checkHello(await wire.receive());
    const lock = await lockMove(session, hello.move);
    try {
      if (hello.byref === 'ask') await wire.send({ has: await whatBecameOf(session, hello) });
      else await receive(interruptible(session, hooks.signal), wire, hello, hooks);
    } finally {
      lock.release();
    }
  } catch (error) {
    const { code, message, hint } = asByref(error);
    // It may be gone.
    await wire.send({ error: { code, message, hint } }).catch(() => undefined);
    throw error;
  } finally {
    await wire.end();
  }
}

function checkHello(message: Message): Hello {
  const { byref, protocol, move, name, stack, sameIdentity = true, start = false } = message;
  if (protocol !== MOVE_PROTOCOL) {
    const what = `it speaks the protocol ${String(protocol)}, and this byref ${MOVE_PROTOCOL}`;
    throw new ByrefError('badInput', what, 'Use the same byref on both machines.');
  }
  const isWhole =
    (byref === 'move' || byref === 'ask') &&
    typeof move === 'string' &&
    /^[0-9a-f]{32}$/.test(move) &&
    typeof name === 'string' &&
    Array.isArray(stack) &&
    stack.every(
      (each: Partial<Hello['stack'][number]> | null) => typeof each?.identity === 'string',
    );
  if (isWhole) return { byref, protocol, move, name, stack, sameIdentity, start };
  throw new ByrefError('badInput', 'the sender sends no env', 'Use byref move.');
}

/** Makes this process the only one of a move: who asks what became of it waits for its end. */
async function lockMove({ root, patience }: StoreSession, move: string): Promise<FileLock> {
  const run = new RunDir(root);
  run.create();
  const lock = new LockFile(path.join(run.path, `move-${move}.lock`));
  const whom = (): string => 'the process that receives the env';
  if (await waitUntil(() => lock.try('exclusive'), whom, patience)) return lock;
  lock.release();
  throw new ByrefError('locked', 'the env is still being received', 'Ask again later.');
}

/** Returns the env of a move; null if it did not come, or is gone. */
const whatBecameOf = (session: StoreSession, { move, name }: Hello): Promise<Received | null> =>
  withStore(session, 'read', (store) => {
    const row = store.env(name);
    const file = row && path.join(envDir(store.root, row.id), RECEIVED_FILE);
    if (row === null || file === null || !existsSync(file)) return null;
    return readFileSync(file, 'utf8') === move ? receivedOf(store, row) : null;
  });

const receivedOf = ({ root }: Store, { name, id }: EnvRow): Received => ({
  ...{ name, id },
  pid: new BundleDir(root, id).firstProcess(),
});

async function receive(
  session: StoreSession,
  wire: Wire,
  hello: Hello,
  hooks: ReceiveHooks,
): Promise<void> {
  const need = await withStore(session, 'read', (store) => {
    store.refuseEnvName(hello.name);
    refuseScratchName(hello.name);
    return hello.stack.filter((each) => findVersion(store, each) === null);
  });
  await wire.send({ need: need.map(({ identity }) => identity) });
  const row = await withStore(session, 'write', (store) => take(store, wire, hello, hooks));
  failpoint('receive-named');
  if (hello.start) await start(session, row, hooks);
  const done = await withStore(session, 'read', (store) => receivedOf(store, row));
  await wire.send({ done });
}

/** Restores the env, and gives it its name once the sender has confirmed. @throws ByrefError as restoreAs(); then nothing is left of it */
async function take(
  store: Store,
  wire: Wire,
  { move, name, sameIdentity }: Hello,
  { signal, note }: ReceiveHooks,
): Promise<EnvRow> {
  const hidden = nextScratchName();
  const owner = ownScratch(store.root, hidden);
  try {
    const options = { file: wire.data(), bases: [], name: hidden, sameIdentity };
    const { id } = await restoreAs(store, options, { signal, note });
    const row = store.needEnv(id);
    try {
      writeFileSync(path.join(envDir(store.root, id), RECEIVED_FILE), move, { mode: 0o600 });
      failpoint('receive-whole');
      await wire.send({ whole: true });
      const { confirm } = await store.pause(() => wire.receive());
      if (confirm !== true)
        throw new ByrefError('badInput', 'the sender did not confirm', 'Move it again.');
      failpoint('receive-confirmed');
      return store.renameEnv(row, name);
    } catch (error) {
      await destroyEnv(store, row, true);
      throw error;
    }
  } finally {
    owner.release();
  }
}

/** Starts the env; if it can't be started, it goes. */
async function start(session: StoreSession, row: EnvRow, { note }: ReceiveHooks): Promise<void> {
  const { patience } = session;
  try {
    await withStore(session, 'read', (store) => startEnv(store, row, {}, { patience, note }));
  } catch (error) {
    await withStore(session, 'write', (store) => destroyEnv(store, row, true));
    throw error;
  }
}

function asByref(error: unknown): Pick<ByrefError, 'code' | 'message' | 'hint'> {
  if (error instanceof ByrefError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isNoSpace(error))
    return { code: 'noSpace', message, hint: 'Free some space there, then run this again.' };
  return { code: 'error', message, hint: 'See what it said there.' };
}
