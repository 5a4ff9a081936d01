import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';

/** An ext4 of its own for the root. */
const SIZE = 64 * 2 ** 20;

/** What makes a merge too large for a disk that is nearly full. */
const LONG = 'a long line, many times\n'.repeat(10_000);

let disk: SmallDisk;
let t: PatchRoot;

beforeEach(async () => {
  disk = new SmallDisk(SIZE);
  t = await PatchRoot.create(disk.place);
  await t.version({ 'usr/v': 'one', 'etc/conf': `a\n${LONG}c\n` });
  await t.version({ 'usr/v': 'two', 'etc/conf': `a\n${LONG}C\n` });
  await t.envs('e', 'off');
  for (const env of ['e', 'off']) await t.in(env, 'sed -i s/^a$/A/ etc/conf');
  await t.root.umount('off');
});
afterEach(async () => {
  await t.dispose();
  disk.dispose();
});

const states = async (): Promise<string[]> => {
  await t.root.mount('off');
  const all = await Promise.all(
    ['e', 'off'].map((env) => t.out(env, 'cat usr/v; grep -v long etc/conf')),
  );
  await t.root.umount('off');
  return all;
};

const ONE = 'oneA\nc\n';
const TWO = 'twoA\nC\n';

test('a patch that finds the disk full, at whatever step, is whole or not at all once there is room', async () => {
  const seen = new Set<string>();
  for (const left of [0, 4096, 16_384, 32_768, 65_536, 131_072, 262_144, 1_048_576]) {
    disk.fill(left);
    const { code, stderr } = await t.root.byref('patch', 't', '--to', '2', '--merge', '/etc');
    if (code !== 0) expect([EXIT.noSpace, EXIT.error], stderr).toContain(code);
    // Programs go on, on the one version or the other.
    expect([ONE, TWO, 'twoA\nc\n']).toContain(await t.out('e', 'cat usr/v; grep -v long etc/conf'));
    disk.empty();
    const after = await states();
    expect(new Set(after).size, `${left} bytes left: ${after.join('; ')}\n${stderr}`).toBe(1);
    seen.add(after[0]!);
    const [record] = await t.root.json<PatchRecord[]>('history', 't');
    if (after[0] === TWO) {
      expect(record).toMatchObject({ state: 'done', all: true });
      await t.rollback();
    } else expect(record?.state ?? 'undone').not.toBe('rolling');
    expect(await states()).toEqual([ONE, ONE]);
  }
  expect([...seen].sort()).toEqual([ONE, TWO].sort());
}, 300_000);
