/** Access times of directories and symlinks: what of them is written, and when. */
import { afterEach, expect, test } from 'vitest';
import type { Name, NodeId } from '../../src/base/ids.ts';
import { type Attr, type DirSink, LEAVE } from '../../src/driver/core/api.ts';
import type { AccessRules } from '../../src/driver/core/ports.ts';
import { BareEnv, ROOT } from '../support/fuse/bare-env.ts';
import { archive, dir } from '../support/trees/tar-members.ts';

const NEVER_MS = 1_000_000_000;
const LONG_AGO = 1_000_000_000;
const sink: DirSink = { entry: () => true, plus: () => true };

let env: BareEnv;
afterEach(() => env.end());

const made = (result: { node: NodeId } | number): NodeId => {
  if (typeof result === 'number') throw new Error(`errno ${-result}`);
  return result.node;
};
const atime = (node: NodeId): number => {
  const out = {} as Attr;
  expect(env.fs.attr(node, out)).toBe(0);
  return out.atime;
};
const setTimes = (node: NodeId, atimeSeconds: number, mtimeSeconds: number): void => {
  const times = { atime: atimeSeconds, atimeNs: 0, mtime: mtimeSeconds, mtimeNs: 0 };
  expect(env.fs.setattr(node, { ...LEAVE, ...times }, {} as Attr)).toBe(0);
};

test('are moved in memory, and written once the kernel forgets the inode; a template’s stay', async () => {
  const accessRules: AccessRules = { files: 'relatime', dirs: 'relatime' };
  env = await BareEnv.create([archive(dir('template'))], { checkpointMs: NEVER_MS, accessRules });
  const { fs, delta } = env;
  const list = (node: NodeId): void => expect(fs.readdir(node, 0, 0, true, sink)).toBe(0);
  const directory = made(fs.mkdir(ROOT, 'd' as Name, 0o755, 0));
  const link = made(fs.symlink(ROOT, 's' as Name, 'target'));
  const template = env.find('template');
  for (const node of [directory, link]) setTimes(node, LONG_AGO, LONG_AGO);
  const before = atime(template);
  await delta.flush();

  const now = Math.floor(Date.now() / 1000) - 1;
  for (const node of [directory, template]) list(node);
  expect(fs.readlink(link)).toBe('target');
  expect(delta.dirty, 'no record for a listing').toBe(false);
  for (const node of [directory, link]) expect(atime(node)).toBeGreaterThan(now);
  expect(atime(template)).toBe(before);
  expect(delta.inode(directory as never)?.atime).toBe(LONG_AGO);

  for (const node of [directory, link]) fs.forget(node, 1);
  for (const node of [directory, link]) {
    expect(delta.inode(node as never)?.atime).toBeGreaterThan(now);
  }
  expect(atime(env.find('d'))).toBeGreaterThan(now);

  accessRules.dirs = 'noatime';
  accessRules.files = 'noatime';
  for (const name of ['d', 's']) setTimes(env.find(name), LONG_AGO, LONG_AGO);
  list(directory);
  fs.readlink(link);
  for (const node of [directory, link]) expect(atime(node)).toBe(LONG_AGO);
});
