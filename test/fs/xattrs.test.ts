/** Extended attributes: what of them is in memory, and those that came with a template and are more than an env may set. */
import v8 from 'node:v8';
import vm from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { ENOSPC } from '../../src/base/errno.ts';
import type { Name, NodeId } from '../../src/base/ids.ts';
import { O_RDWR } from '../../src/base/mode.ts';
import { type Attr, LEAVE, type Node } from '../../src/driver/core/api.ts';
import { BareEnv, ROOT } from '../support/fuse/bare-env.ts';
import { archive, file } from '../support/trees/tar-members.ts';

const NEVER_MS = 1_000_000_000;
const LONG = Buffer.alloc(4000, 'long');

let env: BareEnv;
afterEach(() => env.end());

/** Collects garbage, in turns of the event loop in which no reference is held by what runs. */
async function collect(): Promise<void> {
  v8.setFlagsFromString('--expose-gc');
  const gc = vm.runInNewContext('gc') as () => void;
  for (let turn = 0; turn < 3; turn++) {
    await new Promise(setImmediate);
    gc();
  }
}

const get = (node: NodeId, name: string): Buffer | number => env.fs.getxattr(node, name);

/** The value, held by whoever else holds it. */
const weakly = (node: NodeId, name: string): WeakRef<Buffer> =>
  new WeakRef(get(node, name) as Buffer);

test('long attributes of an inode that the kernel knows are in memory until a checkpoint, and no longer', async () => {
  env = await BareEnv.create([archive()], { checkpointMs: NEVER_MS });
  const known = env.make('known');
  expect(env.fs.setxattr(known, 'user.long', LONG, 0, false)).toBe(0);
  // Another change, as the last one's records stay where they were collected.
  env.make('other');
  const before = weakly(known, 'user.long');
  await collect();
  expect(before.deref()?.length).toBe(LONG.length);

  await env.delta.checkpoint();
  await collect();
  expect(before.deref()).toBeUndefined();
  expect(get(known, 'user.long')).toEqual(LONG);

  // As it was read from the table, too; and a change of something else keeps them.
  expect(env.fs.setattr(known, { ...LEAVE, mode: 0o600 }, {} as Attr)).toBe(0);
  expect(env.fs.setxattr(known, 'user.short', Buffer.from('1'), 0, false)).toBe(0);
  expect(get(known, 'user.long')).toEqual(LONG);
  await env.delta.checkpoint();
  env.fs.forget(known, 1);
  const again = env.find('known');
  const read = weakly(again, 'user.long');
  await collect();
  expect(read.deref()).toBeUndefined();
  expect(env.fs.listxattr(again)).toEqual(['user.long', 'user.short']);
});

test('a long target of a symlink is read when it is used', async () => {
  env = await BareEnv.create([archive()]);
  const target = '/long'.repeat(800);
  const made = env.fs.symlink(ROOT, 'link' as Name, target) as Node;
  const { node } = made;
  await env.delta.checkpoint();
  expect(env.fs.readlink(node)).toBe(target);
  // A change of something else keeps it.
  expect(env.fs.rename(ROOT, 'link' as Name, ROOT, 'moved' as Name, 0)).toBe(0);
  expect(env.fs.setattr(node, { ...LEAVE, uid: 7 }, {} as Attr)).toBe(0);
  await env.delta.checkpoint();
  env.fs.forget(node, 1);
  expect(env.fs.readlink(env.find('moved'))).toBe(target);
});

test('what came with a template can be read, is copied up, and may only get less', async () => {
  const LARGE = Buffer.alloc(20_000, 'large');
  const pax = [
    ['SCHILY.xattr.user.large', LARGE],
    ['SCHILY.xattr.user.small', Buffer.from('s')],
  ] as const;
  env = await BareEnv.create([archive(file('f', 'content', { pax }))]);
  const node = env.find('f');
  const set = (name: string, size: number): number =>
    env.fs.setxattr(node, name, Buffer.alloc(size), 0, false);
  expect(get(node, 'user.large')).toEqual(LARGE);

  expect(env.fs.setattr(node, { ...LEAVE, mode: 0o600 }, {} as Attr)).toBe(0);
  const opened = await env.fs.open(node, O_RDWR, false);
  expect(opened).toMatchObject({ fh: expect.any(Number) });
  if (typeof opened !== 'number') env.fs.release(opened.fh);
  await env.delta.checkpoint();
  expect(get(node, 'user.large')).toEqual(LARGE);

  expect(set('user.more', 1)).toBe(-ENOSPC);
  expect(set('user.small', 2000)).toBe(-ENOSPC);
  expect(set('user.large', 10_000)).toBe(0);
  expect(set('user.large', 4000)).toBe(0);
  expect(set('user.more', 1)).toBe(0);
  expect(set('user.large', 20_000)).toBe(-ENOSPC);
  expect(env.fs.listxattr(node)).toEqual(['user.large', 'user.small', 'user.more']);
});
