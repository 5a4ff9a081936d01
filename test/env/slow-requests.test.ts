/** A request that takes longer than it should is in the driver's log, with what it waits for, and in the metrics. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DriverMetrics } from '../../src/ipc/protocol.ts';
import { RawControl, runFile } from '../support/machine/control-socket.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const LARGE_MIB = 256;
const POLL = { timeout: 30_000 };

let root: TestRoot;
let env: string;
beforeEach(async () => {
  root = await TestRoot.create({ BYREF_SLOW_REQUEST_MS: '20' });
  const source = root.directory('source');
  const fd = openSync(path.join(source, 'large'), 'w');
  for (let i = 0; i < LARGE_MIB; i++) writeSync(fd, Buffer.alloc(2 ** 20, i + 1));
  closeSync(fd);
  await sh('mkdir "$1/dir"; echo x >"$1/dir/small"', [source]);
  env = await root.mounted('web', source);
});
afterEach(() => root.dispose());

interface Line {
  readonly msg: string;
  readonly operation?: string;
  readonly path?: string | null;
  readonly name?: string;
  readonly pid?: number;
  readonly waitsFor?: string;
}

/** Returns what the driver's log has of slow requests of a kind. */
const slowLines = (of: string): Line[] =>
  readFileSync(runFile(root, 'shard-0.log'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter(({ operation }) => operation === of);

/** Returns how many the driver says that there were: what a daemon's /metrics have. */
async function slowCount(): Promise<number | undefined> {
  const control = await RawControl.to(runFile(root, 'shard-0.sock'));
  try {
    const reply = await control.ask(JSON.stringify({ v: 1, id: 1, verb: 'metrics', args: null }));
    return (JSON.parse(reply ?? '') as { result: DriverMetrics }).result.envs[0]?.slow;
  } finally {
    control.close();
  }
}

test('a request that waits for an env which is held is reported once, and again at its end', async () => {
  const holder = await RawControl.to(runFile(root, 'shard-0.sock'));
  await holder.request('hold', { env: 1 });
  const writer = root.background('chmod 600 "$1/dir/small"; sleep 1000', env);
  const waits = (): Line[] => slowLines('SETATTR').filter(({ waitsFor }) => waitsFor !== undefined);
  await expect.poll(waits, POLL).toEqual([
    expect.objectContaining({
      msg: 'a request takes long',
      operation: 'SETATTR',
      name: 'web',
      path: '/dir/small',
      waitsFor: 'the env, which is held as it is while it is copied',
    }),
  ]);
  expect(writer.exitCode).toBeNull();
  holder.close();
  const ended = (): Line[] => slowLines('SETATTR').filter(({ waitsFor }) => waitsFor === undefined);
  await expect.poll(ended, POLL).toEqual([
    expect.objectContaining({
      msg: 'a slow request was answered',
      operation: 'SETATTR',
      path: '/dir/small',
    }),
  ]);
  expect(waits()).toHaveLength(1);
  expect(await slowCount()).toBeGreaterThan(0);
});

test('one that waits for a copy-up says of which file, and how long it is', async () => {
  const { code, stderr } = await sh('echo more >>"$1/large"', [env]);
  expect(code, stderr).toBe(0);
  const lines = slowLines('OPEN');
  expect(lines).toEqual([
    expect.objectContaining({
      path: '/large',
      waitsFor: `the copy-up of the file's ${LARGE_MIB * 2 ** 20} bytes`,
    }),
    expect.objectContaining({ path: '/large', msg: 'a slow request was answered' }),
  ]);
});
