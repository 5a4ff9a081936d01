import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { GcReport } from '../../src/manager/upkeep/gc/remove-garbage.ts';
import { openStore } from '../../src/store/store.ts';
import { edit, linkAt } from '../support/damage/edit-store.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

let t: PatchRoot;

beforeEach(async () => {
  t = await PatchRoot.create();
  for (let n = 1; n <= 6; n++) await t.version({ 'usr/v': `version ${n}`, 'usr/same': 'same' });
});
afterEach(() => t.dispose());

const gc = (...options: string[]): Promise<GcReport> => t.root.json('gc', ...options);

const objects = (): number =>
  readdirSync(path.join(t.root.path, 'objects'), { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile(),
  ).length;

const versions = async (): Promise<number[]> =>
  (await t.root.json<{ number: number }[]>('template', 'log', 't')).map(({ number }) => number);

const reasons = ({ kept }: GcReport): string[] =>
  kept.map(({ version, reason, by }) => `${version} ${reason}${by === '' ? '' : ` ${by}`}`);

async function walk(...to: number[]): Promise<void> {
  for (const version of to) await t.patch('--to', String(version));
}

test('keeps what is current, pinned, tried out, staged, shown, and the last N to go back to', async () => {
  await t.envs('pinned', 'canary', 'follows');
  await t.root.ok('pin', 'pinned', 't@1');
  await walk(2, 3, 4);
  await t.patch('--to', '5', '--canary', 'canary');
  expect(reasons(await gc('--dry-run', '--keep', '1'))).toEqual([
    '1 pinned pinned',
    '3 past',
    '5 canary canary',
    '6 staged',
  ]);
  expect(await versions()).toEqual([6, 5, 4, 3, 2, 1]);
  const report = await gc('--keep', '1');
  expect(report.removed).toEqual([{ template: 't', version: 2 }]);
  expect(report).toMatchObject({ freedObjects: 1, freedBytes: 'version 2'.length });
  expect(await versions()).toEqual([6, 5, 4, 3, 1]);
  for (const [env, seen] of [
    ['pinned', 1],
    ['canary', 5],
    ['follows', 4],
  ] as const) {
    expect(await t.out(env, 'cat usr/v usr/same')).toBe(`version ${seen}same`);
  }
  await t.rollback();
  await t.rollback();
  expect(await t.out('follows', 'cat usr/v')).toBe('version 3');
  expect(await t.rollback()).toMatchObject({ to: 1 });
  expect(await gc('--keep', '1')).toMatchObject({
    removed: [{ version: 3 }, { version: 4 }],
  });
});

test('a version goes together with those of apps that were installed on it', async () => {
  await t.version({ 'opt/app': 'one' }, 'app', '--kind', 'app');
  await t.version({ 'opt/app': 'two' }, 'app', '--kind', 'app');
  const store = await openStore(t.root.path, { write: true });
  const { id: templateId } = store.template('t')!;
  const { id } = store.template('app')!;
  for (const [app, version] of [
    [1, 2],
    [2, 6],
  ] as const) {
    const row = store.catalog.version(id, app)!;
    store.transaction(() =>
      store.catalog.putVersion(id, { ...row, base: { templateId, version } }),
    );
  }
  await store.close();
  await walk(2, 6);
  await t.root.ok('patch', 'app', '--to', '2');
  const report = await gc('--keep', '0');
  expect(report.removed).toContainEqual({ template: 'app', version: 1 });
  expect(report.removed).toContainEqual({ template: 't', version: 2 });
  expect(reasons(report)).not.toContain('2 base app@1');
});

test('the newest version, rolled back and removed, is nowhere the newest any more', async () => {
  await t.envs('follows');
  await t.root.ok('template', 'rm', 't@5', '--force');
  await walk(4, 6);
  await t.rollback();
  // What was rolled back is named while it is there.
  expect(await t.root.ok('patch', 't')).toBe(
    't: nothing to do: 4 is current, and nothing newer is staged; 6 was rolled back, and is taken again by: byref patch t --to 6\n',
  );
  expect(await t.root.byref('patch', 't', '--check')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('byref patch t --to 6') as string,
  });
  const report = await gc('--keep', '0');
  expect(report.removed.map(({ version }) => version)).toContain(6);
  expect(await versions()).toEqual([4, 3, 2]);
  expect(await t.root.json('template', 'list')).toMatchObject([{ current: 4, newest: 4 }]);
  expect(await t.root.json('template', 'show', 't')).toMatchObject({ current: 4, newest: 4 });
  expect(await t.root.ok('template', 'diff', 't')).toBe('');
  expect(await t.root.ok('patch', 't')).toBe(
    't: nothing to do: 4 is current, and nothing newer is staged\n',
  );
  // A number that was given is never given again: drivers may still know the version that had it.
  await t.version({ 'usr/v': 'version 7' });
  expect(await versions()).toEqual([7, 4, 3, 2]);
  expect(await t.root.ok('template', 'diff', 't')).toBe('D /usr/same\nC /usr/v\n');
  expect(await t.root.json('template', 'list')).toMatchObject([{ current: 4, newest: 7 }]);
  expect(await t.root.byref('fsck')).toMatchObject({ code: 0 });
});

test('keeps what programs use, and what a mount without a driver may use', async () => {
  await t.envs('e');
  await walk(2);
  const holder = t.root.background('exec 7<"$1"; sleep 60', path.join(t.mount('e'), 'usr/v'));
  await expect.poll(async () => (await t.plan()).envs[0]?.counts['in-use']).toBe(1);
  await walk(3, 4);
  const report = await gc('--keep', '0');
  expect(reasons(report)).toEqual(['2 in-use e', '5 staged', '6 staged']);
  expect(report.removed).toEqual([
    { template: 't', version: 1 },
    { template: 't', version: 3 },
  ]);
  const refused = await t.root.byref('template', 'rm', 't@2');
  expect([refused.code, refused.stderr]).toEqual([
    EXIT.busy,
    expect.stringContaining('programs in e still use\n  hint: See byref stale'),
  ]);
  const { driverPid } = await t.root.info('e');
  process.kill(driverPid!, 'SIGKILL');
  await expect.poll(async () => (await t.root.info('e')).state).toBe('dead');
  expect(reasons(await gc('--keep', '0'))).toContain('2 unknown-use e');
  holder.kill();
  await t.root.umount('e');
  expect((await gc('--keep', '0')).removed).toEqual([{ template: 't', version: 2 }]);
});

test('a file of which a stopped env has set attributes only follows, though the version goes that it was of', async () => {
  await t.envs('e');
  await t.in('e', 'chmod 700 usr/v');
  await t.root.umount('e');
  await walk(2);
  expect(await gc('--keep', '0')).toMatchObject({ freedObjects: 1, keptObjects: 0 });
  await t.root.mount('e');
  expect(await t.out('e', 'cat usr/v; stat -c %a usr/v')).toBe('version 2700\n');
});

test('keeps objects that an env has in its own records, until it has them no more', async () => {
  await t.envs('e');
  await t.in('e', 'mv usr/v usr/moved');
  await walk(2);
  const report = await gc('--keep', '0');
  expect(report).toMatchObject({ freedObjects: 0, keptObjects: 1 });
  expect(await t.out('e', 'cat usr/moved')).toBe('version 1');
  await t.root.umount('e');
  await t.root.mount('e');
  expect(await t.out('e', 'cat usr/moved')).toBe('version 1');
  await t.in('e', 'rm usr/moved');
  expect(await gc('--keep', '0')).toMatchObject({ freedObjects: 1, freedBytes: 9, keptObjects: 0 });
});

test('removes what belongs to nothing, and a dry run only says so', async () => {
  await t.envs('e');
  await t.root.umount('e');
  const stray = path.join(t.root.path, 'objects/ab', 'c'.repeat(62));
  mkdirSync(path.dirname(stray), { recursive: true });
  writeFileSync(stray, 'x');
  mkdirSync(path.join(t.root.path, 'envs/99'));
  const merge = path.join(t.root.path, 'envs/1/merge.7.0');
  writeFileSync(merge, 'x');
  const before = objects();
  expect((await gc('--dry-run')).leftovers).toHaveLength(3);
  expect(objects()).toBe(before);
  await gc();
  expect([
    existsSync(stray),
    existsSync(merge),
    existsSync(path.join(t.root.path, 'envs/99')),
  ]).toEqual([false, false, false]);
  expect(objects()).toBe(before - 1);
  expect((await gc()).leftovers).toEqual([]);
});

test('template rm NAME@VERSION says why a version must stay', async () => {
  await t.envs('e', 'p');
  await t.root.ok('pin', 'p', 't@1');
  await walk(2, 3);
  const why = async (ref: string, ...options: string[]): Promise<string> => {
    const { code, stderr } = await t.root.byref('template', 'rm', ref, ...options);
    expect(code).toBe(EXIT.busy);
    return stderr.split('\n')[0]!;
  };
  expect(await why('t@3')).toBe('byref: t@3 is the current version');
  expect(await why('t@1', '--force')).toBe('byref: t@1 is what p is pinned to');
  expect(await why('t@2')).toBe('byref: t@2 is what a rollback would go back to');
  expect(await why('t@4')).toBe('byref: t@4 is staged');
  expect(await t.root.ok('template', 'rm', 't@2', '--force')).toContain('freed 1 object, 9 B');
  expect(await t.root.ok('template', 'rm', 't@4', '--force')).toContain('freed 1 object');
  expect(await versions()).toEqual([6, 5, 3, 1]);
  expect((await t.root.byref('template', 'rm', 't@2')).code).toBe(EXIT.notFound);
  expect(await t.rollback()).toMatchObject({ to: 1 });
  expect(await t.out('e', 'cat usr/v')).toBe('version 1');
});

test('killed at any point it has removed nothing that is needed, and the next one does the rest', async () => {
  await t.envs('e');
  await t.in('e', 'echo own >usr/own');
  await walk(2, 3, 4);
  for (let n = 1; ; n += KILL_STEP) {
    const { code } = await runKilledAt(t.root, `*:${n}`, ['gc', '--keep', '1']);
    expect(await t.out('e', 'cat usr/v usr/same usr/own')).toBe('version 4sameown\n');
    if (code === 0) {
      expect(n).toBeGreaterThan(2);
      break;
    }
  }
  expect(await versions()).toEqual([6, 5, 4, 3]);
  expect(objects()).toBe(5);
  expect(await gc('--keep', '1')).toMatchObject({ removed: [], freedObjects: 0, leftovers: [] });
  await t.rollback();
  expect(await t.out('e', 'cat usr/v')).toBe('version 3');
});

test('an object file whose row was lost is no leftover while something names it', async () => {
  await edit(t.root.path, (tables) => {
    const { changes } = linkAt(tables, 1, 'usr/same');
    tables.table('objects').removeSync(Buffer.from(changes[0]!.record!.object, 'hex'));
  });
  const before = objects();
  const refused = await t.root.byref('gc', '--keep', '0');
  expect(refused.code).toBe(EXIT.corrupt);
  expect(refused.stderr).toMatch(/which is still needed\n.*byref fsck --repair/);
  expect(objects()).toBe(before);
  expect(await versions()).toEqual([6, 5, 4, 3, 2, 1]);
  await t.root.ok('fsck', '--repair');
  await gc('--keep', '0');
});
