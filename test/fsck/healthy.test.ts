/** What is not damaged is not reported: by no check, in no state that a root is ever in. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { DATA_PRIVATE } from '../../src/codec/inode-record.ts';
import type { Finding } from '../../src/manager/upkeep/fsck/finding.ts';
import { fsck } from '../../src/manager/upkeep/fsck/fsck.ts';
import { find } from '../support/damage/damage.ts';
import { crashAfter, own, privateFile, webDir } from '../support/damage/edit-delta.ts';
import { copyRoot, healthyRoot, useHealthyRoot } from '../support/damage/healthy-root.ts';
import { runByref, sh, TREE } from '../support/machine/program.ts';
import { inode } from '../support/trees/inode-record.ts';

useHealthyRoot();
afterEach(() => {
  delete process.env['BYREF_BOOT_ID'];
});

test.each([false, true])('a root with something of everything; full: %s', async (full) => {
  const { checked, findings } = await fsck(copyRoot(), { full, repair: false });
  expect(findings).toEqual([]);
  expect(checked).toMatchObject({ templates: 3, versions: 5, envs: 4, patches: 3, deltas: 2 });
  expect(checked.compositions).toBe(1);
  for (const number of [checked.links, checked.directories, checked.objects]) {
    expect(number).toBeGreaterThan(10);
  }
  expect(checked.deltaNames).toBeGreaterThan(20);
  expect(checked.deltaInodes).toBeGreaterThan(20);
  expect(checked.objectBytes > 0).toBe(full);
  expect(await healthyRoot().json('saved', 'list', 'web')).toHaveLength(1);
});

test('a check writes nothing; nor does a repair where nothing is to be repaired', async () => {
  const root = copyRoot();
  const before = hashes(root);
  await find(root, { full: true });
  expect(hashes(root)).toEqual(before);
  expect(await find(root, { full: true, repair: true })).toEqual([]);
  expect(hashes(root)).toEqual(before);
});

/** Every file but locks, which say who had them. */
function hashes(root: string): Record<string, string> {
  const files = (readdirSync(root, { recursive: true }) as string[]).filter(
    (name) => statSync(path.join(root, name)).isFile() && !/(lock(\.mdb)?|checked)$/.test(name),
  );
  const hash = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(path.join(root, name)))
      .digest('hex');
  return Object.fromEntries(files.sort().map((name) => [name, hash(name)]));
}

test('a root whose first version was removed, and one after garbage was collected', async () => {
  const root = copyRoot();
  const { env } = healthyRoot();
  const removed = await runByref(['template', 'rm', 'os@1', '--force', '--root', root], { env });
  expect(removed.code, removed.stderr).toBe(0);
  expect(await find(root, { full: true })).toEqual([]);
  const collected = await runByref(['gc', '--keep', '0', '--root', root], { env });
  expect(collected.code, collected.stderr).toBe(0);
  expect(await find(root, { full: true })).toEqual([]);
});

test.each([1, 2])('a root of format %i, which a check leaves as it is', async (format) => {
  const root = copyRoot();
  rmSync(root, { recursive: true });
  const archive = path.join(TREE, `fixtures/root-format-${format}.tar.gz`);
  await sh('tar -C "$1" -xzf "$2"', [path.dirname(root), archive]);
  expect(await find(root, { full: true })).toEqual([]);
  expect(readFileSync(path.join(root, 'BYREF'), 'utf8')).toBe(`byref root, format ${format}\n`);
  expect(await find(root, { full: true, repair: true })).toEqual([]);
  expect(readFileSync(path.join(root, 'BYREF'), 'utf8')).toBe('byref root, format 4\n');
});

test('an env whose driver was killed', async () => {
  const root = copyRoot();
  const { ino, record } = await own(root, 'big');
  await crashAfter(root, [
    (change) => change.setInode({ ...record, mode: 0o100600 }),
    (change) => change.setName(1 as Ino, 'usr' as never, 0, 0),
  ]);
  expect(readdirSync(webDir(root)).some((name) => name.startsWith('journal.'))).toBe(true);
  expect(await find(root, { full: true })).toEqual([]);
  expect(statSync(privateFile(root, ino)).size).toBe(2 ** 20);
});

test('an env after a power cut, with a file that the next mount makes', async () => {
  const root = copyRoot();
  const ino = 2 ** 51 + 5000;
  await crashAfter(root, [
    (change) => {
      change.setInode(inode(ino, { data: DATA_PRIVATE }));
      change.setName(1 as Ino, 'new' as never, ino as Ino, 0o100000);
      change.setName(1 as Ino, 'none' as never, 0, 0);
    },
  ]);
  expect((await find(root)).map(({ check }) => check)).toEqual(['delta.private']);
  process.env['BYREF_BOOT_ID'] = '0'.repeat(32);
  expect(await find(root)).toEqual([]);
});

/** Files and directories that come, change and go, as fast as they can. */
const LOAD = `
cd "$1"; echo started
for ((i = 0; ; i++)); do
  mkdir -p w/$((i % 7)); echo $i >w/$((i % 7))/f$i; ln w/$((i % 7))/f$i w/l$i; mv w/$((i % 7)) w/m$i; rm -r w/m$i w/l$i
  echo $i >>etc/kept; chmod $((600 + i % 2)) usr/lib/same; exec 5>w/open; rm w/open; echo x >&5; exec 5>&-
done`;

test('mounted envs, idle and under load, while a template is imported', {
  timeout: 120_000,
}, async () => {
  const root = healthyRoot();
  await root.ok('mount', 'web', 'pinned');
  expect((await root.byref('fsck', '--full')).stdout).toMatch(/: nothing found\n$/);
  // In groups of their own: what they started ends with them.
  const options = { env: root.env, cwd: root.base, detached: true };
  const load = spawn('bash', ['-c', LOAD, 'load', path.join(root.path, 'mnt/pinned')], options);
  const imports = spawn('bash', ['-c', IMPORTS, 'imports'], options);
  const ended = [load, imports].map((child) => once(child, 'exit'));
  await once(load.stdout, 'data');
  try {
    // What a driver makes is there before its record is: no stray file is one while it is served.
    writeFileSync(path.join(webDir(root.path), 'private/80000000f0000'), '');
    for (let i = 0; i < 12; i++) {
      const { code, stdout } = await root.byref('fsck', i % 4 === 0 ? '--full' : '--quick');
      expect(stdout).toMatch(/: nothing found\n$/);
      expect(code).toBe(0);
    }
    rmSync(path.join(webDir(root.path), 'private/80000000f0000'));
  } finally {
    for (const { pid } of [load, imports]) process.kill(-pid!, 'SIGKILL');
    await Promise.all(ended);
    await root.umount();
  }
  // The import that was killed may have left files.
  const { findings } = await root.json<{ findings: Finding[] }>('fsck', '--full');
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
});

const IMPORTS = `
while true; do
  mkdir -p many; for i in {1..300}; do echo $RANDOM $i >many/$i; done
  ${TREE}/bin/byref template import many many >/dev/null 2>&1; ${TREE}/bin/byref template rm many >/dev/null 2>&1
done`;
