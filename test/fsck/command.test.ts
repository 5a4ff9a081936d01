/** `byref fsck` as people and programs meet it. */

import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { decodeVersion, encodeVersion } from '../../src/codec/store-rows.ts';
import type { Finding } from '../../src/manager/upkeep/fsck/finding.ts';
import { report } from '../../src/manager/upkeep/fsck/report.ts';
import { removeTemplateRows } from '../../src/manager/upkeep/gc/remove-version.ts';
import { inoKey, versionKey } from '../../src/store/keys.ts';
import { rawTables } from '../../src/store/raw-tables.ts';
import { openStore } from '../../src/store/store.ts';
import { checksOf, find } from '../support/damage/damage.ts';
import { editInode, own, privateFile } from '../support/damage/edit-delta.ts';
import { COMPOSED, edit, JUNK, linkAt, OS, unused } from '../support/damage/edit-store.ts';
import { copyRoot, healthyRoot, useHealthyRoot } from '../support/damage/healthy-root.ts';
import { runByref, sh } from '../support/machine/program.ts';

useHealthyRoot();

const run = (root: string, ...args: string[]) =>
  runByref(['fsck', '--root', root, ...args], { env: healthyRoot().env });

const spoilInode = (root: string): Promise<void> =>
  edit(root, (t) => t.table('inodes').putSync(inoKey(linkAt(t, OS, 'etc/kept').ino), JUNK));
const addLeftover = (root: string): void => mkdirSync(path.join(root, 'mnt/nobody'));

describe('a line per finding, and one of what was checked', () => {
  test('of a healthy root', async () => {
    const { code, stdout } = await run(copyRoot());
    expect(stdout).toMatch(
      /^checked 3 templates, 5 versions, 1 composition, \d+ links, \d+ objects, 4 envs, \d+ inodes of envs in \d+\.\d s: nothing found\n$/,
    );
    expect(code).toBe(EXIT.ok);
  });

  test('of a damaged one, which ends with exit code 10', async () => {
    const root = copyRoot();
    await spoilInode(root);
    addLeftover(root);
    const { code, stdout } = await run(root);
    const [error, leftover, last] = stdout.split('\n');
    expect(error).toMatch(
      /^error template os: \/etc\/kept: the row of its inode \d+ can't be read \(byref fsck --repair puts it right\)$/,
    );
    expect(leftover).toMatch(/^leftover .*mnt\/nobody: .* \(byref fsck --repair removes it\)$/);
    expect(last).toMatch(/: 1 error, 1 leftover; 0 repaired$/);
    expect(code).toBe(EXIT.corrupt);
  });

  test('of one that is repaired', async () => {
    const root = copyRoot();
    await spoilInode(root);
    const { code, stdout } = await run(root, '--repair');
    expect(stdout).toMatch(/^error template os: .* \(repaired\)$/m);
    expect(stdout).toMatch(/: 1 error, 0 leftovers; 1 repaired\n$/);
    expect(code).toBe(EXIT.ok);
  });

  test('of one with leftovers alone, which is no failure', async () => {
    const root = copyRoot();
    addLeftover(root);
    expect((await run(root)).code).toBe(EXIT.ok);
  });
});

test('--json is one object with stable names', async () => {
  const root = copyRoot();
  await spoilInode(root);
  const { code, stdout, stderr } = await run(root, '--json', '--full');
  const result = JSON.parse(stdout) as { checked: object; findings: object[] };
  expect(Object.keys(result)).toEqual(['checked', 'findings']);
  expect(Object.keys(result.checked)).toEqual([
    'templates',
    'versions',
    'compositions',
    'links',
    'directories',
    'objects',
    'objectBytes',
    'envs',
    'patches',
    'deltas',
    'deltaNames',
    'deltaInodes',
  ]);
  expect(result.findings).toEqual([
    {
      check: 'inodes.row',
      severity: 'error',
      where: 'template os: /etc/kept',
      what: expect.stringContaining("can't be read"),
      remedy: 'byref fsck --repair puts it right',
      repaired: false,
    },
  ]);
  expect(stderr).toBe('');
  expect(code).toBe(EXIT.corrupt);
});

test('--quick and --full exclude each other; what is no root is none', async () => {
  const root = copyRoot();
  expect((await run(root, '--quick', '--full')).code).toBe(EXIT.usage);
  expect((await run(path.dirname(root))).code).toBe(EXIT.notFound);
  writeFileSync(path.join(root, 'BYREF'), 'byref root, format 99\n');
  const newer = await run(root);
  expect(newer.code).toBe(EXIT.corrupt);
  expect(newer.stderr).toContain('Use the byref that made it');
});

test('a repair waits for its turn to write, and a check does not', async () => {
  const root = copyRoot();
  const writer = await openStore(root, { write: true });
  try {
    expect((await run(root)).code).toBe(EXIT.ok);
    const { code, stderr } = await run(root, '--repair', '--wait', '100ms');
    expect(stderr).toMatch(new RegExp(`process ${process.pid} .*is writing`));
    expect(code).toBe(EXIT.locked);
  } finally {
    await writer.close();
  }
});

test('a table that is lost is a hundred lines, not one per row', () => {
  const one: Finding = {
    check: 'inodes.missing',
    severity: 'error',
    where: '',
    what: 'x',
    remedy: 'y',
    repaired: false,
  };
  const many = Array.from({ length: 250 }, (_, i) => ({ ...one, where: String(i) }));
  const listed = report([...many, { ...one, check: 'root.marker', where: 'first' }]);
  expect(listed).toHaveLength(102);
  expect(listed[0]).toMatchObject({ check: 'root.marker' });
  expect(listed.at(-1)).toMatchObject({ where: '150 more', what: 'of this kind', repaired: false });
});

describe('a repair that is cut short', () => {
  /** Something for each step. */
  async function harm(root: string): Promise<void> {
    await spoilInode(root);
    await edit(root, (tables) => {
      tables.table('dirs').clearSync();
      tables.table('changes').clearSync();
      tables.table('templateDirs').clearSync();
      tables.table('envNames').clearSync();
      tables.table('inodes').removeSync(inoKey(unused(tables, 1)));
      tables.setNumber('nextIno', 2);
      tables.setNumber('nextEnv', 1);
    });
    rmSync(path.join(root, 'BYREF'));
    chmodSync(path.join(root, 'objects'), 0o755);
    writeFileSync(path.join(root, 'objects/tmp/m1'), '');
    await editInode('big', { nlink: 7 })(root);
    writeFileSync(privateFile(root, (2 ** 51 + 0xf0000) as never), '');
    addLeftover(root);
  }

  test.each(['fsck-rows', 'fsck-files', 'fsck-delta'])('at %s can be made again', async (at) => {
    const root = copyRoot();
    await harm(root);
    const damaged = checksOf(await find(root));
    expect(damaged.length).toBeGreaterThan(8);
    const { env } = healthyRoot();
    for (let n = 1; ; n++) {
      const killed = await runByref(['fsck', '--root', root, '--repair'], {
        env: { ...env, BYREF_FAILPOINT: `${at}:${n}` },
      });
      if (killed.code === 0) break;
      expect(killed.code).toBe(-1);
      expect(n).toBeLessThan(30);
    }
    expect(await find(root, { full: true })).toEqual([]);
  });
});

describe('while an env is mounted', () => {
  afterEach(() => healthyRoot().ok('umount', '--all'));

  test('what is damaged in it is found, and repaired once it is not', async () => {
    const root = healthyRoot();
    const { record } = await own(root.path, 'big');
    await editInode('big', { nlink: 5 })(root.path);
    await root.mount('web');
    const { code, stdout } = await root.byref('fsck', '--repair');
    expect(stdout).toMatch(
      /^error env web: \/srv\/big: its link count is 5.* while the env is not mounted\)$/m,
    );
    expect(code).toBe(EXIT.corrupt);
    await root.umount('web');
    expect((await root.byref('fsck', '--repair')).code).toBe(EXIT.ok);
    expect((await own(root.path, 'big')).record).toEqual({ ...record });
    expect((await root.byref('fsck')).stdout).toMatch(/nothing found\n$/);
  });
});

test('a composition that a mounted env shows stays until it is not mounted', async () => {
  const root = healthyRoot();
  const at = await root.mount('newer');
  const seen = async () => (await sh('cat etc/group', [], { cwd: at })).stdout;
  const before = await seen();
  expect(before).toBe('root:x:0:\nusers:x:100:\nsvc:x:400:\n');
  const key = versionKey(COMPOSED, 1);
  await edit(root.path, (t) => {
    const row = decodeVersion(t.table('versions').get(key)!);
    t.table('versions').putSync(versionKey(COMPOSED, 2), encodeVersion({ ...row, number: 2 }));
  });
  const { code, stdout } = await root.byref('fsck', '--repair');
  expect(stdout).toMatch(
    /^error composition os@3 \+ based@1: .* \(unmount the envs that show it; then byref fsck --repair removes the composition/m,
  );
  expect(code).toBe(EXIT.corrupt);
  expect(await seen()).toBe(before);
  await root.umount('newer');
  expect(await root.ok('fsck', '--repair')).toMatch(
    /composition os@3 .*\(repaired\)\nerror env newer: nothing is composed for os@3 \+ based@1: .*\(repaired\)$/m,
  );
  await root.mount('newer');
  expect(await seen()).toBe(before);
  expect(await root.ok('fsck', '--full')).toMatch(/nothing found\n$/);
  await root.umount('newer');
});

test('nothing is composed of templates that are damaged', async () => {
  const root = copyRoot();
  const store = await openStore(root, { write: true });
  rawTables(store).transaction(() => {
    for (const row of store.catalog.compositions()) removeTemplateRows(store, row);
  });
  await store.close();
  await edit(root, (t) => t.table('links').putSync(linkAt(t, OS, 'etc/kept').key, JUNK));
  const { code, stdout } = await run(root, '--repair');
  expect(stdout).toMatch(/^error env newer: .*\(not now: templates are damaged\)\)$/m);
  expect(code).toBe(EXIT.corrupt);
});

test('an env shows what it did before, after a repair of what it has beneath', async () => {
  const root = healthyRoot();
  const changes = await root.ok('diff', 'web');
  await edit(root.path, (tables) => {
    for (const name of ['dirs', 'templateDirs', 'inodes', 'changes', 'templateNames'] as const) {
      tables.table(name).clearSync();
    }
  });
  expect((await root.byref('fsck')).code).toBe(EXIT.corrupt);
  expect((await root.byref('fsck', '--repair', '--full')).code).toBe(EXIT.ok);
  expect(await root.ok('diff', 'web')).toBe(changes);
  const { code, stdout } = await root.byref('fsck', '--full');
  expect(stdout).toMatch(/nothing found\n$/);
  expect(code).toBe(EXIT.ok);
});
