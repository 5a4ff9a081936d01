/** The control sockets of driver and holder: what is no request of theirs is answered with an error, and who does not read is let go of. */

import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RawControl, runFile } from '../support/machine/control-socket.ts';
import { residentBytes } from '../support/machine/leftovers.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;

beforeAll(async () => {
  root = await TestRoot.create();
  await root.mounted('one', root.directory('source'));
});
afterAll(() => root.dispose());

const SOCKETS = ['shard-0.sock', 'holder.sock'] as const;

const pidOf = async (socket: string): Promise<number> => {
  const control = await RawControl.to(runFile(root, socket));
  const reply = (await control.request('status', null)) as { result: { pid: number } };
  control.close();
  return reply.result.pid;
};

const MOUNT = {
  env: 1,
  mountpoint: '/nowhere',
  transport: 'kernel',
  passthrough: true,
  trace: false,
  mountFlags: 0,
};

const WRONG: readonly (readonly [socket: string, verb: string, args: unknown])[] = [
  ['shard-0.sock', 'mount', null],
  ['shard-0.sock', 'mount', { ...MOUNT, env: 2 ** 40 }],
  ['shard-0.sock', 'mount', { ...MOUNT, env: '1' }],
  ['shard-0.sock', 'mount', { ...MOUNT, mountpoint: 7 }],
  ['shard-0.sock', 'mount', { ...MOUNT, mountpoint: 'relative' }],
  ['shard-0.sock', 'mount', { ...MOUNT, transport: '__proto__' }],
  ['shard-0.sock', 'mount', { ...MOUNT, mountFlags: 1.5 }],
  ['shard-0.sock', 'prepare', { versions: null, stacks: [] }],
  ['shard-0.sock', 'prepare', { versions: [], stacks: [{ env: 1 }] }],
  ['shard-0.sock', 'refresh', {}],
  ['shard-0.sock', 'refresh', { envs: null, acts: [{ env: 1, acts: [{ what: 'take' }] }] }],
  [
    'shard-0.sock',
    'refresh',
    { envs: null, acts: [{ env: 1, acts: [{ what: 'steps', file: '../x' }] }] },
  ],
  ['shard-0.sock', 'writers', { env: 1, after: -1, limit: 'all' }],
  ['shard-0.sock', 'hold', []],
  ['shard-0.sock', 'device', undefined],
  ['shard-0.sock', 'stop', 'now'],
  ['shard-0.sock', 'constructor', null],
  ['holder.sock', 'hold', null],
  ['holder.sock', 'hold', { env: 1, pid: 1, fd: 3, shard: 0, mountpoint: 7 }],
  ['holder.sock', 'hold', { env: -1, pid: 1, fd: 3, shard: 0, mountpoint: '/x' }],
  ['holder.sock', 'hold', { env: 1, pid: 2 ** 40, fd: 3, shard: 0, mountpoint: '/x' }],
  ['holder.sock', 'drop', {}],
  ['holder.sock', 'stop', { force: 1 }],
  ['holder.sock', 'x'.repeat(1000), null],
];

test.each(WRONG)(
  '%s: %s of something else is answered with a sentence',
  async (socket, verb, args) => {
    const control = await RawControl.to(runFile(root, socket));
    const reply = await control.request(verb, args);
    expect(reply).toMatchObject({ id: 1, ok: false, error: { code: 'usage' } });
    const { message = '', hint = '' } = reply?.error ?? {};
    expect(message.length).toBeLessThan(300);
    expect(message).not.toMatch(/\n| {4}at /);
    expect(hint).toMatch(/^[A-Z].*[.]$/);
    // It is heard further.
    expect(await control.request('status', null)).toMatchObject({ ok: true });
    control.close();
  },
);

test.each(SOCKETS)(
  '%s answers a line that is no request, and ends the connection',
  async (socket) => {
    for (const line of [
      '',
      'x',
      '{}',
      '[]',
      'null',
      '{"v":1,"id":1.5,"verb":"status"}',
      '{"id":',
    ]) {
      const control = await RawControl.to(runFile(root, socket));
      const reply = await control.ask(line);
      expect(JSON.parse(reply ?? 'null'), line).toMatchObject({
        id: 0,
        ok: false,
        error: { code: 'usage' },
      });
      await expect.poll(() => control.ended, { timeout: 30_000 }).toBe(true);
      control.close();
    }
  },
);

test('what the holder repeats of a request is JSON', async () => {
  const control = await RawControl.to(runFile(root, 'holder.sock'));
  const line =
    '{"v":1,"id":1,"verb":"hold","args":{"env":9,"pid":PID,"fd":0,"shard":0,"mountpoint":"/a\\x"}}';
  const reply = await control.ask(line.replace('PID', String(process.pid)));
  expect(JSON.parse(reply ?? '')).toMatchObject({ ok: false });
  expect(await control.request('status', null)).toMatchObject({ ok: true });
  control.close();
});

/** More answers than any socket takes. */
const ASKED = 400_000;
const GROWS_MAX = 64 * 2 ** 20;

/** Asks on and on, and reads nothing; returns by how much the process grew until it closed the connection. */
async function growthUnderUnread(file: string): Promise<number> {
  const pid = await pidOf(file);
  const before = residentBytes(pid);
  const socket = connect(runFile(root, file)).pause();
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const line = `${JSON.stringify({ v: 1, id: 1, verb: 'status', args: null })}\n`;
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, residentBytes(pid));
  }, 20);
  socket.write(line.repeat(ASKED));
  await closed;
  clearInterval(watch);
  expect(await pidOf(file)).toBe(pid);
  return most - before;
}

test('driver and holder let go of a peer that asks on and reads no answer', async () => {
  const growths = await Promise.all(SOCKETS.map(growthUnderUnread));
  expect(Math.max(...growths)).toBeLessThan(GROWS_MAX);
});
