/** A damaged store ends no process by a signal: commands say what is wrong, and it is restored from the copy that is kept. */
import {
  cpSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { overwrite, PAGE, zeroOnePage } from './pages.ts';

let root: TestRoot;
const data = (): string => path.join(root.path, 'meta/data.mdb');
const copies = (): string => path.join(root.path, 'meta/copies');

beforeEach(async () => {
  root = await TestRoot.create();
  await root.import('os', root.directory('source'));
  // A copy is made again only after some minutes.
  utimesSync(path.join(copies(), 'newest.mdb'), 1, 1);
  await root.create('e1', 'os');
});
afterEach(() => root.dispose());

test('each command says so by exit 10, whatever of it is damaged, and none dies of it', async () => {
  const whole = path.join(root.base, 'whole.mdb');
  cpSync(data(), whole);
  const damages: Record<string, () => void> = {
    empty: () => truncateSync(data(), 0),
    cut: () => truncateSync(data(), statSync(data()).size - 2 * PAGE),
    'a page of zeros': () => zeroOnePage(data()),
    'both meta pages of zeros': () => overwrite(data(), 0, Buffer.alloc(2 * PAGE)),
    junk: () => writeFileSync(data(), Buffer.alloc(statSync(whole).size, 0xa7)),
    gone: () => rmSync(data()),
  };
  const commands = [['list'], ['mount', 'e1'], ['create', 'e2', '--os', 'os'], ['gc']];
  for (const [i, [what, harm]] of Object.entries(damages).entries()) {
    cpSync(whole, data());
    harm();
    for (const command of i === 0 ? commands : commands.slice(i % 3, (i % 3) + 1)) {
      const { code, stderr } = await root.byref(...command);
      expect(code, `${what}: ${command.join(' ')}\n${stderr}`).toBe(EXIT.corrupt);
      expect(stderr).toMatch(/the store in .*data\.mdb is damaged/);
      expect(stderr).toMatch(/byref fsck --restore-store/);
    }
  }
  cpSync(whole, data());
  await root.ok('list');
});

test('it is restored from a copy; an env that was made after that is kept, and named', async () => {
  const before = path.join(root.base, 'before');
  cpSync(copies(), before, { recursive: true });
  await root.create('late', 'os');
  const mountpoint = await root.mount('late');
  await sh('echo mine >"$1/mine"', [mountpoint]);
  await root.umount();
  expect(readdirSync(copies()).sort()).toEqual(['newest.mdb', 'older.mdb']);
  rmSync(copies(), { recursive: true });
  cpSync(before, copies(), { recursive: true });

  expect((await root.byref('fsck', '--restore-store')).code).toBe(EXIT.usage);
  zeroOnePage(data());
  const restored = await root.byref('fsck', '--restore-store');
  expect(restored.stderr).toMatch(/the store is as it was at .*data\.mdb\.damaged/);
  expect(restored.code, restored.stdout).toBe(EXIT.corrupt);
  expect(restored.stdout).toMatch(/envs\/2: the env of this directory was made after the copy/);
  expect(await root.json('list')).toMatchObject([{ name: 'e1' }]);
  // Nothing that removes leftovers takes it for one, and no new env gets its place.
  await root.byref('fsck', '--repair');
  await root.ok('gc');
  await root.create('next', 'os');
  await root.ok('destroy', 'e1');
  expect(readdirSync(path.join(root.path, 'envs/2/private'))).toHaveLength(1);
  expect((await root.info('next')).id).toBe(3);
});
