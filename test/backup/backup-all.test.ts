/** Backups of all envs into a directory, with retention; and what the guide has done with other tools. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvBackedUpInto } from '../../src/services/backup-all.ts';
import { runKilledAt } from '../support/damage/failpoints.ts';
import { BYREF, sh } from '../support/machine/program.ts';
import type { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import { CHANGE, changeableRoot, inEnv, shown } from './changed-env.ts';

const MIB = 2 ** 20;
/** Files are known again that have not been changed for a second when a backup is made. */
const TICK_MS = 1100;

let root: TestRoot;
let place: string;

beforeEach(async () => {
  root = await changeableRoot();
  await root.create('second', 'os');
  place = root.directory('backups');
  await inEnv(root, 'first', CHANGE);
});
afterEach(() => root.dispose());

const all = (...words: string[]): Promise<EnvBackedUpInto[]> =>
  root.json('backup', '--all', place, ...words);

const stored = (env: string): string[] => readdirSync(path.join(place, env)).sort();

test('each env has a directory, chains are restored from it, and what is not kept goes', async () => {
  await sleep(TICK_MS);
  const [first, second] = await all('--incremental');
  expect(first).toMatchObject({ name: 'first', base: null, unchanged: 0, removed: [] });
  expect(second).toMatchObject({ name: 'second', base: null });
  await inEnv(root, 'first', 'echo more >>"$1/home/alice/file"');
  const [third] = await all('--incremental');
  expect(third).toMatchObject({ base: first!.file, files: first!.files });
  expect(third!.unchanged).toBeGreaterThanOrEqual(first!.files - 2);
  const [fourth] = await all('--incremental', '--keep-daily', '1');
  // It builds on both.
  expect(fourth).toMatchObject({ base: third!.file, removed: [] });
  const before = await shown(root, 'first');
  await root.ok('restore', fourth!.file, 'again');
  expect(await shown(root, 'again')).toBe(before);
  await root.ok('destroy', 'again');
  writeFileSync(path.join(place, 'first', 'mine'), '');
  const [fifth] = await all('--keep-daily', '3', '--keep-weekly', '2');
  expect(fifth).toMatchObject({
    base: null,
    removed: [fourth, third, first].map((each) => each!.file),
  });
  expect(stored('first')).toEqual([path.basename(fifth!.file), 'mine']);
});

test('one that fails does not stop the others, and keeps what it has', async () => {
  await all();
  const [before] = stored('first');
  await root.ok('mount', 'first');
  const { driverPid } = await root.info('first');
  process.kill(driverPid!, 'SIGKILL');
  await expect.poll(async () => (await root.info('first')).state, { timeout: 10_000 }).toBe('dead');
  const { code, stdout, stderr } = await root.byref('backup', '--all', place, '--keep-daily', '1');
  expect(code).toBe(EXIT.busy);
  expect(stderr).toContain('first is mounted, but its driver does not answer');
  expect(stdout).toMatch(/second.*\.backup: /);
  expect(stored('first')).toEqual([before]);
  expect(stored('second')).toHaveLength(1);
  await root.umount('first');
});

test('one of another env of that name, or that is damaged, is not built on', async () => {
  const [first] = await all('--incremental');
  await root.ok('destroy', 'first');
  await root.create('first', 'os');
  const { code, stderr } = await root.byref('backup', '--all', place, '--incremental');
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/is a backup of first, and not of this/),
  ]);
  writeFileSync(path.join(place, 'second', stored('second').at(-1)!), 'damaged');
  expect(await root.byref('backup', '--all', place, '--incremental')).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('so the backup of second has all') as string,
  });
  await root.ok('restore', first!.file, 'former');
});

test('a run that was killed leaves whole backups, and its part goes with the next', async () => {
  for (let n = 1; n < 60; n += 4) {
    const words = ['backup', '--all', place, '--incremental', '--keep-daily', '1'];
    const { code } = await runKilledAt(root, `*:${n}`, words);
    for (const env of readdirSync(place).filter((name) => name !== '.lock'))
      for (const name of stored(env).filter((each) => each.endsWith('.backup')))
        await root.ok('backup', 'verify', path.join(place, env, name));
    if (code === 0) break;
  }
  await all();
  for (const env of ['first', 'second'])
    expect(stored(env).filter((name) => name.endsWith('.partial'))).toEqual([]);
  expect(await root.findings()).toEqual([]);
});

test('on a full disk the earlier backups stay', async () => {
  const disk = new SmallDisk(16 * MIB);
  try {
    await inEnv(root, 'second', 'head -c 3000000 /dev/urandom >"$1/home/large"');
    const words = ['backup', '--all', disk.place, '--keep-daily', '1'];
    await root.ok(...words);
    const before = readdirSync(path.join(disk.place, 'second'));
    disk.fill(MIB);
    expect(await root.byref(...words)).toMatchObject({ code: EXIT.noSpace });
    expect(readdirSync(path.join(disk.place, 'second'))).toEqual(before);
    await root.ok('backup', 'verify', path.join(disk.place, 'second', before[0]!));
    disk.empty();
    await root.ok(...words);
    expect(readdirSync(path.join(disk.place, 'second'))).toHaveLength(1);
  } finally {
    disk.dispose();
  }
});

test('words that do not go together, and a directory that is not there, are refused', async () => {
  for (const words of [
    [],
    ['first'],
    ['first', 'x', '--keep-daily', '3'],
    ['first', 'x', '--incremental'],
    ['first', '--all', place],
    ['--all', place, '--incremental-from', 'x'],
    ['--all', place, '--keep-daily', '0'],
  ])
    expect(await root.byref('backup', ...words)).toMatchObject({ code: EXIT.usage });
  expect(await root.byref('backup', '--all', path.join(root.base, 'nothing'))).toMatchObject({
    code: EXIT.notFound,
  });
  expect(readdirSync(place)).toEqual([]);
});

test('systemd takes the units', async () => {
  const units = root.directory('units');
  const odd = root.directory('a place, 100% "mine"');
  for (const kind of ['service', 'timer'])
    writeFileSync(
      path.join(units, `byref-backup.${kind}`),
      await root.ok('backup', '--all', odd, '--keep-daily', '7', '--incremental', '--unit', kind),
    );
  const script = 'cd "$1"; systemd-analyze verify ./byref-backup.service ./byref-backup.timer';
  const { code, stderr } = await sh(`command -v systemd-analyze >/dev/null || exit 0; ${script}`, [
    units,
  ]);
  expect([code, stderr]).toEqual([0, '']);
  expect(readdirSync(odd)).toEqual([]);
});

/** Runs a script of the guide with byref and the env's root. */
async function guided(script: string): Promise<void> {
  const { code, stderr } = await sh(
    `set -o pipefail; byref() { ${BYREF} "$@"; }; cd "$1"; ${script}`,
    [place],
    {
      env: root.env,
    },
  );
  expect(code, stderr).toBe(0);
}

test('a backup is encrypted by age', async () => {
  const before = await shown(root, 'first');
  await guided(`age-keygen -o key.txt 2>/dev/null
    byref backup first - | age --encrypt --recipient "$(age-keygen -y key.txt)" --output first.backup.age
    age --decrypt --identity key.txt first.backup.age | byref restore - again`);
  expect(await shown(root, 'again')).toBe(before);
});

test('a backup is kept by restic', async () => {
  const before = await shown(root, 'first');
  await guided(`export RESTIC_REPOSITORY="$PWD/repository" RESTIC_PASSWORD=secret RESTIC_CACHE_DIR="$PWD/cache"
    restic --quiet init
    byref backup first - | restic --quiet backup --stdin --stdin-filename first.backup
    restic --quiet dump latest first.backup | byref restore - again`);
  expect(await shown(root, 'again')).toBe(before);
  expect(existsSync(path.join(place, 'repository'))).toBe(true);
});
