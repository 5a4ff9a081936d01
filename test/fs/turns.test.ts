/** How many descriptors the calls of one env take, however many wait. */
import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { O_RDWR } from '../../src/base/mode.ts';
import type { Opened } from '../../src/driver/core/api.ts';
import { BareEnv } from '../support/fuse/bare-env.ts';
import { archive, file } from '../support/trees/tar-members.ts';

/** More than an env may have under way, each with a file of its own. */
const CALLS = 300;
/** Of what a call holds, or the process opens besides. */
const FEW = 100;
/** A copy of so much is made on the thread pool. */
const LONG = 'x'.repeat(200_000);

const names = Array.from({ length: CALLS }, (_, i) => `f${i}`);
const openFiles = (): number => readdirSync('/proc/self/fd').length;

let env: BareEnv;
afterEach(() => env.end());

/** Begins a call for each name, and returns how many more descriptors are open then; all calls must succeed. */
async function held<T>(
  call: (name: string) => Promise<T>,
): Promise<{ open: number; results: T[] }> {
  const before = openFiles();
  const calls = names.map((name) => call(name));
  const open = openFiles() - before;
  return { open, results: await Promise.all(calls) };
}

test('many fsyncs at once', async () => {
  env = await BareEnv.create([archive()], { fdBudget: { max: 8, used: 0 } });
  const opened = new Map<string, number>();
  for (const name of names) {
    const { fh } = (await env.fs.open(env.make(name), O_RDWR, false)) as Opened;
    expect(await env.fs.write(fh, 0, Buffer.from('x'), 0, 1, false, false)).toBe(1);
    opened.set(name, fh);
  }
  const { open, results } = await held((name) => env.fs.fsync(opened.get(name)!, false));
  expect(open).toBeLessThan(FEW);
  expect(new Set(results)).toEqual(new Set([0]));
});

test('many copy-ups at once', async () => {
  env = await BareEnv.create([archive(...names.map((name) => file(name, LONG)))]);
  const nodes = new Map(names.map((name) => [name, env.find(name)]));
  const { open, results } = await held(
    async (name) => (await env.fs.open(nodes.get(name)!, O_RDWR, false)) as Opened,
  );
  expect(open).toBeLessThan(FEW);
  for (const { fh } of results) {
    const byte = Buffer.alloc(1);
    expect(await env.fs.readLater(fh, LONG.length - 1, 1, () => byte)).toBe(1);
    expect(byte.toString()).toBe('x');
  }
});
