/** The other side of `byref move`: takes an env from a connection. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { isNoSpace } from '../base/no-space.ts';
import { isStackName, type StackName } from '../manager/backup/manifest.ts';
import { criuProgram } from '../manager/envs/checkpoint/criu.ts';
import { isRecord, markAsleep, readRecord } from '../manager/envs/checkpoint/record.ts';
import { destroyEnv } from '../manager/envs/destroy.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { Incoming, removeIncoming, sweepIncoming } from '../manager/moves/incoming.ts';
import { ownScratch } from '../manager/sandbox/owner.ts';
import { nextScratchName } from '../manager/sandbox/scratch-env.ts';
import { isName, refuseScratchName } from '../store/names.ts';
import { waitUntil } from '../store/patience.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { removeEnv } from './destroy-env.ts';
import { readyServers } from './mount-env.ts';
import { type Hello, type Message, MOVE_PROTOCOL, type Received } from './move-messages.ts';
import { Wire } from './move-wire.ts';
import { type ComingVersion, receiveVersion } from './receive-versions.ts';
import { findVersion, restoreAs } from './restore-env.ts';
import { startEnv } from './start-env.ts';
import { interruptible, type StoreSession, withStore } from './store-session.ts';

const RECEIVED_FILE = 'received';
const ID = /^[0-9a-f]{32}$/;

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
 *
 * If the connection ends before, or this process is ended, what came stays (manager/moves/incoming.ts); after any other error it goes.
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
    const incoming = await lockMove(session, hello.move);
    try {
      const has = await whatBecameOf(session, hello, incoming);
      // Of a move that is done, what came is of no use.
      if (has !== null) incoming.remove();
      if (has !== null || hello.byref === 'ask') await wire.send({ has });
      else await receive(interruptible(session, hooks.signal), wire, hello, incoming, hooks);
    } finally {
      incoming.close();
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
  const { from = '', forget = null, live = false, bases = [] } = message;
  if (protocol !== MOVE_PROTOCOL) {
    const what = `it speaks the protocol ${String(protocol)}, and this byref ${MOVE_PROTOCOL}`;
    throw new ByrefError('badInput', what, 'Use the same byref on both machines.');
  }
  const isWhole =
    (byref === 'move' || byref === 'ask') &&
    isId(move) &&
    typeof name === 'string' &&
    typeof from === 'string' &&
    (forget === null || isId(forget)) &&
    areVersions(stack) &&
    areVersions(bases);
  if (!isWhole) throw new ByrefError('badInput', 'the sender sends no env', 'Use byref move.');
  return { byref, protocol, move, name, stack, bases, sameIdentity, start, live, from, forget };
}

const areVersions = (value: unknown): value is readonly StackName[] =>
  Array.isArray(value) &&
  value.every(
    (each: Partial<StackName> | null) => isStackName(each) && isName(each?.template ?? ''),
  );

const isId = (value: unknown): value is string => typeof value === 'string' && ID.test(value);

/** Makes this process the only one of a move: who asks what became of it waits for its end. */
async function lockMove({ root, patience }: StoreSession, move: string): Promise<Incoming> {
  const incoming = new Incoming(root, move);
  const whom = (): string => 'the process that receives the env';
  if (await waitUntil(() => incoming.tryLock(), whom, patience)) return incoming;
  incoming.close();
  throw new ByrefError('locked', 'the env is still being received', 'Ask again later.');
}

/** Returns the env of a move; null if it did not come, or is gone. One that was to be started and was not, since its process was killed, goes. */
async function whatBecameOf(
  session: StoreSession,
  { move, name, start: isToStart }: Hello,
  incoming: Incoming,
): Promise<Received | null> {
  const find = (store: Store): EnvRow | null => {
    const row = store.env(name);
    const file = row && path.join(envDir(store.root, row.id), RECEIVED_FILE);
    const isIt = file !== null && existsSync(file) && readFileSync(file, 'utf8') === move;
    return isIt ? row : null;
  };
  const has = await withStore(session, 'read', (store) => {
    const row = find(store);
    return row && receivedOf(store, row);
  });
  if (has === null || has.pid !== null || !isToStart || !incoming.isThere) return has;
  await withStore(session, 'write', async (store) => {
    const row = find(store);
    if (row !== null) await removeEnv(store, row, true, session.patience);
  });
  return null;
}

const receivedOf = ({ root }: Store, { name, id }: EnvRow): Received => ({
  ...{ name, id },
  pid: new BundleDir(root, id).firstProcess(),
});

async function receive(
  session: StoreSession,
  wire: Wire,
  hello: Hello,
  incoming: Incoming,
  hooks: ReceiveHooks,
): Promise<void> {
  const { root } = session;
  const { need, shards } = await withStore(session, 'read', (store) => {
    store.refuseEnvName(hello.name);
    refuseScratchName(hello.name);
    if (hello.live) criuProgram();
    const all = [...hello.bases, ...hello.stack];
    const lacks = all.filter((each) => findVersion(store, each) === null);
    return { need: lacks, shards: store.shards };
  });
  const letServersEnd = hello.start ? readyServers({ root, shards }) : () => undefined;
  try {
    if (hello.forget !== null) removeIncoming(root, hello.forget);
    sweepIncoming(root);
    incoming.open({ env: hello.name, from: hello.from });
    const { held } = incoming;
    const part = incoming.part();
    await wire.send({ need: need.map(({ identity }) => identity), held, part });
    await parts(session, wire, hello, incoming, hooks);
    const row = await withStore(session, 'write', (store) =>
      take(store, wire, hello, incoming, hooks),
    );
    failpoint('receive-named');
    if (hello.start) await start(session, row, hello.live ? incoming.checkpoint : null, hooks);
    const done = await withStore(session, 'read', (store) => receivedOf(store, row));
    incoming.finish();
    failpoint('receive-done');
    await wire.send({ done });
    incoming.remove();
  } catch (error) {
    if (isBroken(error, hooks.signal)) incoming.dropCheckpoints();
    else incoming.remove();
    throw error;
  } finally {
    letServersEnd();
  }
}

/** Returns true for an error after which the sender may go on. */
const isBroken = (error: unknown, signal: AbortSignal): boolean =>
  signal.aborted || (error instanceof ByrefError && error.code === 'unreachable');

/** Takes versions of templates, and rounds, until the last round has come. */
async function parts(
  session: StoreSession,
  wire: Wire,
  { stack, bases }: Hello,
  incoming: Incoming,
  { signal }: ReceiveHooks,
): Promise<void> {
  for (;;) {
    const { version, base = null, round, reset, processes } = await wire.receive();
    if (reset === true) incoming.reset();
    else if (processes !== undefined) await takeProcesses(wire, incoming, processes);
    else if (version !== undefined) {
      const wanted = wantedOf(stack, bases, version);
      await withStore(session, 'add', (store) =>
        receiveVersion(store, wire, { ...wanted, base }, incoming, signal),
      );
    } else {
      if (!isId(round?.id) || !(round.base === null || isId(round.base))) throw noPart();
      const { id, from, last } = round;
      await incoming.receive({ id, base: round.base }, from, wire.data());
      if (last) return;
      await incoming.take(signal);
      await wire.send({ took: id });
    }
  }
}

/** Finds the version that comes among those that were announced. */
function wantedOf(
  stack: readonly StackName[],
  bases: readonly StackName[],
  identity: string,
): Pick<ComingVersion, 'version' | 'os' | 'isBase'> {
  const isIt = (each: StackName): boolean => each.identity === identity;
  const [inStack, version] = [stack.find(isIt), stack.find(isIt) ?? bases.find(isIt)];
  const [os] = stack;
  if (version === undefined || os === undefined) throw noPart();
  return { version, os, isBase: inStack === undefined };
}

async function takeProcesses(
  wire: Wire,
  incoming: Incoming,
  record: Message['processes'],
): Promise<void> {
  if (record === undefined || (record !== null && !isRecord(record))) throw noPart();
  await incoming.receiveProcesses(record, wire.data());
}

/** Takes the processes of a live move, which come while its files are restored, and returns what follows. */
async function untilConfirmed(wire: Wire, incoming: Incoming): Promise<Message> {
  for (;;) {
    const message = await wire.receive();
    if (message.processes === undefined) return message;
    await takeProcesses(wire, incoming, message.processes);
  }
}

const noPart = (): ByrefError =>
  new ByrefError('badInput', 'the sender sends no part of an env', 'Use byref move.');

/** Restores the env, and gives it its name once the sender has confirmed. @throws ByrefError as restoreAs(); then nothing is left of it */
async function take(
  store: Store,
  wire: Wire,
  { move, name, sameIdentity }: Hello,
  incoming: Incoming,
  { signal, note }: ReceiveHooks,
): Promise<EnvRow> {
  const hidden = nextScratchName();
  const owner = ownScratch(store.root, hidden);
  try {
    const held = { id: incoming.held ?? '', directory: incoming.heldDir };
    const options = { file: incoming.round, bases: [], held, name: hidden, sameIdentity };
    const { id } = await restoreAs(store, options, { signal, note });
    const row = store.needEnv(id);
    try {
      writeFileSync(path.join(envDir(store.root, id), RECEIVED_FILE), move, { mode: 0o600 });
      failpoint('receive-whole');
      await wire.send({ whole: true });
      const { confirm } = await store.pause(() => untilConfirmed(wire, incoming));
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

/** Starts the env; if it can't be started, it goes. @param from the checkpoint that it goes on from; null: it begins */
async function start(
  session: StoreSession,
  row: EnvRow,
  from: string | null,
  { note }: ReceiveHooks,
): Promise<void> {
  const { patience } = session;
  try {
    if (from !== null) markAsleep(session.root, row.id, readRecord(from).id);
    const options = from === null ? {} : { from };
    await withStore(session, 'read', (store) => startEnv(store, row, options, { patience, note }));
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
