/** Damaged rows of the store: commands name what is damaged, drivers fail at that name only, and it can be put right or restored. */
import { cpSync, existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { idKey, textKey } from '../../src/store/keys.ts';
import { openTables, type Tables } from '../../src/store/tables.ts';
import { linkAt, OS } from '../support/damage/edit-store.ts';
import { flipBits } from '../support/damage/raw-rows.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
  const source = root.directory('source');
  const made = await sh('mkdir etc usr; printf a >etc/a; printf b >etc/b; printf c >usr/c', [], {
    cwd: source,
  });
  expect(made.code, made.stderr).toBe(0);
  await root.import('os', source);
  await root.create('web', 'os');
  await root.create('other', 'os');
});
afterEach(() => root.dispose());

async function read<T>(work: (tables: Tables) => T): Promise<T> {
  const tables = openTables(path.join(root.path, 'meta'), { write: false });
  try {
    return work(tables);
  } finally {
    await tables.close();
  }
}

/** Changes bits of the row of a path of the template. */
async function flipLink(where: string, ...bits: number[]): Promise<void> {
  const { key } = await read((tables) => linkAt(tables, OS, where));
  await flipBits(root.path, 'links', key, ...bits);
}

async function refused(...words: string[]): Promise<string> {
  const { code, stderr } = await root.byref(...words);
  expect(code, `${words.join(' ')}: ${stderr}`).toBe(EXIT.corrupt);
  return stderr;
}

test('a file of a template: EIO at its name in envs, and at no other; one bit is put right', async () => {
  await flipLink('etc/a', 500);
  const web = await root.mount('web');
  const seen = await sh('cat "$1/etc/b" "$1/usr/c"; cat "$1/etc/a"', [web]);
  expect(seen.stdout).toBe('bc');
  expect(seen.stderr).toMatch(/Input\/output error/);
  expect(await refused('fsck')).toBe('');
  expect(await refused('template', 'export', 'os', path.join(root.base, 'out.tar'))).toMatch(
    /the store is damaged at \/etc\/a in template os \(table links\): its bytes do not match its sum\n.*byref fsck/,
  );
  await root.umount();
  await root.ok('fsck', '--repair');
  expect((await sh('cat "$1/etc/a"', [await root.mount('web')])).stdout).toBe('a');
  expect(await root.json('fsck', '--full')).toMatchObject({ findings: [] });
});

test('the row of an env, or its name: commands that need it say which, and no directory goes', async () => {
  const mounted = await root.mount('web');
  await sh('echo mine >"$1/mine"', [mounted]);
  await root.umount();
  const data = path.join(root.path, 'meta/data.mdb');
  cpSync(data, path.join(root.base, 'whole.mdb'));
  await flipBits(root.path, 'envs', idKey(1), 70, 90);
  expect(await refused('list')).toMatch(/the store is damaged at env web \(table envs\)/);
  expect(await refused('mount', 'web')).toMatch(/--restore-store/);
  await root.ok('mount', 'other');
  await root.ok('umount', 'other');

  // The key as well: env 1 seems to be gone, and env 65,537 to be there.
  cpSync(path.join(root.base, 'whole.mdb'), data);
  await flipBits(root.path, 'envs', idKey(1), 8, 90);
  await root.byref('destroy', '--force', 'other');
  await root.byref('gc');
  await root.byref('fsck', '--repair');
  expect(readdirSync(path.join(root.path, 'envs/1/private'))).toHaveLength(1);

  cpSync(path.join(root.base, 'whole.mdb'), data);
  await flipBits(root.path, 'envNames', textKey('web'), 30, 60);
  expect(await refused('mount', 'web')).toMatch(/the name of env web \(table envNames\)/);
  await root.ok('fsck', '--repair');
  const again = await root.mount('web');
  expect((await sh('cat "$1/mine"', [again])).stdout).toBe('mine\n');
});

test('a copy with a damaged row takes no other copy’s place', async () => {
  const copies = path.join(root.path, 'meta/copies');
  const [newest, older] = ['newest.mdb', 'older.mdb'].map((name) => path.join(copies, name));
  const data = path.join(root.path, 'meta/data.mdb');
  const age = (): void => {
    for (const copy of [newest!, older!]) utimesSync(copy, 1, 1);
  };
  cpSync(data, older!);
  const sound = readFileSync(older!);
  await flipLink('etc/a', 500, 510);
  cpSync(data, newest!);
  age();
  await root.create('third', 'os');
  expect(readFileSync(older!).equals(sound)).toBe(true);
  // One that is whole does.
  writeFileSync(data, sound);
  writeFileSync(newest!, sound);
  writeFileSync(older!, 'something else');
  age();
  await root.create('fourth', 'os');
  expect(readFileSync(older!).equals(sound)).toBe(true);
});

test('a store with a damaged row is restored from a copy whose rows are right', async () => {
  const copies = path.join(root.path, 'meta/copies');
  const data = path.join(root.path, 'meta/data.mdb');
  cpSync(data, path.join(copies, 'older.mdb'));
  await flipLink('etc/a', 500, 510);
  // What was copied since is damaged as well.
  cpSync(data, path.join(copies, 'newest.mdb'));
  expect((await root.byref('fsck')).stdout).toMatch(
    /etc\/a: its row can't be read .*--restore-store/s,
  );
  const restored = await root.byref('fsck', '--restore-store');
  expect(restored.stderr).toMatch(/the store is as it was at/);
  const { findings } = await root.json<{ findings: { check: string }[] }>('fsck', '--full');
  expect(findings.filter(({ check }) => check !== 'envs.lost')).toEqual([]);
  expect(existsSync(path.join(root.path, 'meta/data.mdb.damaged'))).toBe(true);
  await root.mount('web');
});
