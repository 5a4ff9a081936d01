import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Patience } from '../../src/store/patience.ts';
import { rawTables } from '../../src/store/raw-tables.ts';
import { initRoot, openStore, type Store } from '../../src/store/store.ts';
import { takeWriterLock } from '../../src/store/writer-lock.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { addVersion } from '../support/trees/random-trees.ts';

let scratch: string;
let root: string;
const open: Store[] = [];
beforeEach(() => {
  scratch = newDir();
  root = path.join(scratch, 'root');
});
afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
  removeDir(scratch);
});

async function writer(): Promise<Store> {
  const store = await openStore(root, { write: true });
  open.push(store);
  return store;
}

describe('a root', () => {
  it('is made in a new or an empty directory, and once', async () => {
    await initRoot(root, { shards: 3 });
    expect((await writer()).shards).toBe(3);
    await expect(initRoot(root)).rejects.toMatchObject({ code: 'exists' });
    mkdirSync(path.join(scratch, 'fs/lost+found'), { recursive: true });
    await initRoot(path.join(scratch, 'fs'));
  });

  it('is not made over something else', async () => {
    mkdirSync(root);
    writeFileSync(path.join(root, 'thesis.txt'), 'mine');
    await expect(initRoot(root)).rejects.toThrow('holds something else (thesis.txt)');
    const file = path.join(root, 'thesis.txt');
    await expect(initRoot(file)).rejects.toMatchObject({ code: 'badInput' });
    await expect(openStore(root, { write: false })).rejects.toMatchObject({ code: 'notFound' });
  });

  it('can be made again where an init was cut short', async () => {
    mkdirSync(path.join(root, 'meta'), { recursive: true });
    await initRoot(root);
    expect((await writer()).envs()).toEqual([]);
  });

  it('of another format is refused', async () => {
    await initRoot(root);
    writeFileSync(path.join(root, 'BYREF'), 'byref root, format 99\n');
    await expect(openStore(root, { write: false })).rejects.toMatchObject({ code: 'corrupt' });
  });
});

const within = (ms: number): Patience => ({ ms, tell: () => undefined });

describe('the writer role', () => {
  it("is one process's at a time; the other is told whose", async () => {
    await initRoot(root);
    await writer();
    const second = takeWriterLock(root, within(100));
    await expect(second).rejects.toMatchObject({ code: 'locked' });
    await expect(takeWriterLock(root, within(0))).rejects.toThrow(
      new RegExp(`process ${process.pid} .*is writing`),
    );
  });

  it('goes to the one that waits', async () => {
    await initRoot(root);
    const first = await openStore(root, { write: true });
    const second = openStore(root, { write: true });
    await first.close();
    open.push(await second);
  });

  it('is free again when its process was killed', async () => {
    await initRoot(root);
    const file = path.join(root, 'meta/writer.lock');
    const script = `exec 9>>"${file}"; flock 9; echo held; read`;
    const child = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    await expect(takeWriterLock(root, within(0))).rejects.toMatchObject({ code: 'locked' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    (await takeWriterLock(root, within(0))).release();
  });

  it('is not needed to read, and readers see each commit', async () => {
    await initRoot(root);
    const store = await writer();
    const reader = await openStore(root, { write: false });
    open.push(reader);
    addVersion(store, 'os', {}, 0);
    await new Promise(setImmediate);
    expect(reader.templates()).toHaveLength(1);
  });
});

describe('envs', () => {
  it('are rows: a name, a stack, a shard', async () => {
    await initRoot(root, { shards: 2 });
    const store = await writer();
    addVersion(store, 'debian', {}, 0);
    addVersion(store, 'nginx', {}, 1);
    addVersion(store, 'nginx', { a: 'x' }, 1);
    const env = store.createEnv({ name: 'web', stack: ['debian', 'nginx@2'] });
    expect(env).toMatchObject({
      id: 1,
      name: 'web',
      shard: 0,
      stack: [{ pinned: null }, { pinned: 2 }],
    });
    expect(store.env('web')).toEqual(env);
    expect(store.env(env.id)).toEqual(env);
    expect(store.resolveStack(env)).toEqual([
      { templateId: 1, version: 1 },
      { templateId: 2, version: 2 },
    ]);
    expect(store.createEnv({ name: 'web2', stack: ['debian'] })).toMatchObject({ id: 2, shard: 1 });
    expect(store.envs().map(({ name }) => name)).toEqual(['web', 'web2']);
  });

  it('have a name of their own, and an id that is never given again', async () => {
    await initRoot(root);
    const store = await writer();
    addVersion(store, 'debian', {}, 0);
    const { id } = store.createEnv({ name: 'one', stack: ['debian'] });
    expect(() => store.createEnv({ name: 'one', stack: ['debian'] })).toThrow('"one" already');
    store.removeEnv(id);
    store.removeEnv(id);
    expect(store.env('one')).toBeNull();
    expect(() => store.needEnv('one')).toThrow('no env "one"');
    expect(store.createEnv({ name: 'one', stack: ['debian'] }).id).toBeGreaterThan(id);
  });

  it.each([
    [['nginx'], 'is of kind app'],
    [['debian', 'debian'], 'is of kind os'],
    [['debian', 'nginx', 'nginx@1'], 'named twice'],
    [['none'], 'no template "none"'],
    [['debian@7'], 'has no version 7'],
    [['debian@x'], 'names no version'],
    [[], 'needs a template'],
  ])('with the stack %j are refused', async (stack, sentence) => {
    await initRoot(root);
    const store = await writer();
    addVersion(store, 'debian', {}, 0);
    addVersion(store, 'nginx', {}, 1);
    expect(() => store.createEnv({ name: 'x', stack })).toThrow(sentence);
    expect(store.envs()).toEqual([]);
  });

  it.each(['', 'a/b', '..', '42', 'ä', 'x'.repeat(64)])('can\'t be called "%s"', async (name) => {
    await initRoot(root);
    const store = await writer();
    addVersion(store, 'debian', {}, 0);
    expect(() => store.createEnv({ name, stack: ['debian'] })).toThrow(
      "can't be the name of an env",
    );
  });
});

it('a transaction that throws has changed nothing', async () => {
  await initRoot(root);
  const store = await writer();
  expect(() =>
    rawTables(store).transaction(() => {
      rawTables(store).setNumber('shards', 9);
      throw new Error('half-way');
    }),
  ).toThrow('half-way');
  expect(store.shards).toBe(1);
});
