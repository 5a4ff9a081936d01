/** Parts of a move by themselves: the connection, the file that is sent while it is written, what stands on the other side. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  Incoming,
  incomingMoves,
  KEPT_MS,
  sweepIncoming,
} from '../../src/manager/moves/incoming.ts';
import { Outgoing, sweepOutgoing } from '../../src/manager/moves/outgoing.ts';
import { Spool } from '../../src/manager/moves/spool.ts';
import { Wire } from '../../src/services/move-wire.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'byref-move-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const idOf = (n: number): string => n.toString(16).padStart(32, '0');

function wires(hearMs?: number): { near: Wire; far: Wire; up: PassThrough; down: PassThrough } {
  const [up, down] = [new PassThrough(), new PassThrough()];
  return {
    near: new Wire('near', down, up, hearMs),
    far: new Wire('far', up, down, hearMs),
    up,
    down,
  };
}

async function collected(
  stream: AsyncIterable<Buffer>,
): Promise<{ bytes: Buffer; error: unknown }> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of stream) pieces.push(Buffer.from(piece));
    return { bytes: Buffer.concat(pieces), error: null };
  } catch (error) {
    return { bytes: Buffer.concat(pieces), error };
  }
}

async function* piecesOf(...pieces: string[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(await Promise.resolve(piece));
}

test('what came of a frame that was cut off is passed on, and then the error', async () => {
  const { near, up } = wires();
  const sent = new PassThrough();
  const far = new Wire('far', sent, new PassThrough());
  await near.sendAll(piecesOf('first', 'second'));
  const all = up.read() as Buffer;
  // A head and "first", a head and "sec".
  sent.end(all.subarray(0, 5 + 5 + 5 + 3));
  const { bytes, error } = await collected(far.data() as AsyncIterable<Buffer>);
  expect(bytes.toString()).toBe('firstsec');
  expect(error).toMatchObject({ code: 'unreachable' });
  for (const wire of [near, far]) wire.close();
});

test('a side that is silent is given up, and one that only says that it lives is not', async () => {
  const { near, far } = wires(200);
  // It says so four times as often as has to be.
  const waits = near.receive();
  await new Promise((resolve) => setTimeout(resolve, 600));
  await far.send({ took: 'something' });
  expect(await waits).toEqual({ took: 'something' });
  far.close();
  await expect(near.receive()).rejects.toMatchObject({ code: 'unreachable' });
  near.close();
});

test('an error in the place of bytes is the other side’s', async () => {
  const { near, far } = wires();
  await near.send({ error: { code: 'noSpace', message: 'it is full', hint: 'Free some.' } });
  const { error } = await collected(far.data() as AsyncIterable<Buffer>);
  expect(error).toMatchObject({ code: 'noSpace', message: 'far: it is full' });
  for (const wire of [near, far]) wire.close();
});

test('a file is read while it is written, from any place, and to its end or its error', async () => {
  const spool = Spool.make(path.join(directory, 'spool'));
  const reading = collected(spool.bytes(4));
  for (const piece of ['some ', 'bytes ', 'more']) {
    spool.append(Buffer.from(piece));
    await new Promise(setImmediate);
  }
  await spool.finish();
  expect(await reading).toEqual({ bytes: Buffer.from(' bytes more'), error: null });
  spool.close();
  const again = Spool.open(path.join(directory, 'spool'));
  expect((await collected(again.bytes(11))).bytes.toString()).toBe('more');
  again.close();
  const broken = Spool.make(path.join(directory, 'broken'));
  const reader = collected(broken.bytes(0));
  broken.append(Buffer.from('part'));
  await new Promise(setImmediate);
  broken.fail(new Error('the disk is full'));
  expect(await reader).toMatchObject({ error: { message: 'the disk is full' } });
  broken.close();
});

/** Lets something of a move stand that came so long ago. */
function stand(n: number, ageMs: number): void {
  const incoming = new Incoming(directory, idOf(n));
  expect(incoming.tryLock()).toBe(true);
  incoming.open({ env: `env${n}`, from: 'afar' });
  incoming.close();
  const then = new Date(Date.now() - ageMs);
  utimesSync(path.join(directory, 'moves/in', idOf(n)), then, then);
}

const left = (): string[] => incomingMoves(directory).map(({ env }) => env);

test('what nobody goes on with is removed after some days, and the oldest of too many at once', () => {
  for (let n = 1; n <= 5; n++) stand(n, n * 1000);
  stand(6, KEPT_MS + 1000);
  const [oldest] = incomingMoves(directory);
  expect(oldest).toMatchObject({ env: 'env6', from: 'afar', active: false });
  sweepIncoming(directory);
  expect(left()).toEqual(['env5', 'env4', 'env3', 'env2', 'env1']);
  sweepIncoming(directory, Date.now(), 3);
  expect(left()).toEqual(['env3', 'env2', 'env1']);
  // One that is being received is not.
  const active = new Incoming(directory, idOf(2));
  expect(active.tryLock()).toBe(true);
  sweepIncoming(directory, Date.now() + 2 * KEPT_MS);
  expect(left()).toEqual(['env2']);
  active.remove();
  active.close();
  expect(readdirSync(path.join(directory, 'moves/in'))).toEqual([]);
});

test('what was kept of an env that is gone goes, too, but not while it is used', () => {
  const facts = { host: 'h', name: 'n', keep: false, warm: false, ran: false };
  for (const id of [1, 2, 3]) {
    const outgoing = Outgoing.open(directory, { id, name: `env${id}` });
    outgoing.begin({ move: idOf(id), ...facts });
    outgoing.close();
  }
  mkdirSync(path.join(directory, 'moves'), { recursive: true });
  const used = Outgoing.open(directory, { id: 3, name: 'env3' });
  expect(() => Outgoing.open(directory, { id: 3, name: 'env3' })).toThrow(/being moved already/);
  sweepOutgoing(directory, (id) => id === 1);
  expect(readdirSync(path.join(directory, 'moves/out')).sort()).toEqual([
    '1',
    '1.lock',
    '3',
    '3.lock',
  ]);
  expect(used.facts).toMatchObject({ move: idOf(3) });
  used.clear();
  used.close();
});
