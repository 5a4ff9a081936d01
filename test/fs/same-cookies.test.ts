/** Directories in which many names share a cookie, as the real hash makes two of them once in many thousand directories. */
import { afterEach, expect, test, vi } from 'vitest';
import type { Name } from '../../src/base/ids.ts';
import type { DirSink } from '../../src/driver/core/api.ts';
import { type CheckpointJob, runCheckpoint } from '../../src/driver/delta/checkpoint-job.ts';
import { BareEnv, ROOT } from '../support/fuse/bare-env.ts';
import { archive, file } from '../support/trees/tar-members.ts';

/** So few cookies there are. */
const COOKIES = 9;
const NEVER_MS = 1_000_000_000;

vi.mock(import('../../src/base/name-hash.ts'), async (original) => {
  const real = await original();
  // Neighbours among numbers, too: a place must not be taken for the next cookie's.
  return { ...real, nameCookie: (name) => 3 + (real.nameCookie(name) % COOKIES) };
});
// In this thread, where the hash is the same.
vi.mock(import('../../src/driver/delta/checkpoint-thread.ts'), () => ({
  checkpointInThread: (job: CheckpointJob) => runCheckpoint(job),
}));

let env: BareEnv;
afterEach(() => env.end());

const named = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

/** One READDIR that takes at most `room` entries; the place after the last of them. */
function page(at: readonly [number, number], room: number, plus: boolean, into: string[]) {
  let next: readonly [number, number] | null = null;
  const take = (name: Name, cookie: number, ordinal: number): boolean => {
    if (room-- === 0) return false;
    into.push(name);
    next = [cookie, ordinal];
    return true;
  };
  const sink: DirSink = {
    entry: (name, _ino, _type, cookie, ordinal) => take(name, cookie, ordinal),
    plus: (name, _node, _type, cookie, ordinal) => take(name, cookie, ordinal),
  };
  expect(env.fs.readdir(ROOT, at[0], at[1], plus, sink)).toBe(0);
  return next;
}

/** A whole listing, in pages; `between` runs after each with what was listed so far. */
function list(room: number, plus = false, between: (seen: string[]) => void = () => {}): string[] {
  const seen: string[] = [];
  let at: readonly [number, number] | null = [0, 0];
  while (at !== null) {
    at = page(at, room, plus, seen);
    between(seen);
  }
  return seen.filter((name) => name !== '.' && name !== '..');
}

const remove = (name: string): void => {
  expect(env.fs.unlink(ROOT, name as Name), name).toBe(0);
};

async function fill(): Promise<string[]> {
  const members = (names: string[]) => archive(...names.map((name) => file(name, '')));
  const os = named('os', 400);
  const app = [...named('app', 300), ...named('os', 20)];
  env = await BareEnv.create([members(os), members(app)], { checkpointMs: NEVER_MS });
  const own = named('own', 300);
  for (const name of own) env.make(name);
  for (const name of [...named('os', 5), ...named('app', 40), ...named('own', 7)]) remove(name);
  await env.delta.checkpoint();
  // In memory, over what is in the table: changed, removed, and new.
  for (const name of named('later', 100)) env.make(name);
  for (const name of [...named('later', 9), 'own-8', 'own-9', 'os-100']) remove(name);
  const removed = new Set([
    ...named('os', 5),
    ...named('app', 40),
    ...named('own', 10),
    ...named('later', 9),
    'os-100',
  ]);
  removed.delete('own-7');
  const all = [...os, ...named('app', 300), ...own, ...named('later', 100)];
  return all.filter((name) => !removed.has(name)).sort();
}

test('a listing shows each name once, wherever its pages end', async () => {
  const names = await fill();
  for (const [room, plus] of [
    [3, false],
    [10, true],
    [100, false],
    [257, true],
    [10_000, false],
  ] as const) {
    expect(list(room, plus).sort(), `pages of ${room}`).toEqual(names);
  }
});

test('and those that stay once, whatever is removed between pages', async () => {
  const names = await fill();
  for (const [i, room] of [12, 17].entries()) {
    const goes = names.filter((name) => name.endsWith(String(i + 1)));
    const stays = names.filter((name) => !/[12]$/.test(name));
    const seen = list(room, false, () => {
      for (const name of goes.splice(0, 1)) remove(name);
    });
    expect(seen.filter((name) => !/[12]$/.test(name)).sort()).toEqual(stays);
    expect(new Set(seen).size).toBe(seen.length);
  }
});
