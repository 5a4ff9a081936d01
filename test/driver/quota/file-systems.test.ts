/** The limit of bytes where the file system below takes space in its own way: XFS takes some ahead of a file that grows. */
import { expect, test } from 'vitest';
import { sh } from '../../support/machine/program.ts';
import { TestRoot } from '../../support/machine/root.ts';
import { SmallDisk } from '../../support/machine/small-disk.ts';
import { privateBytes, shown } from './private-bytes.ts';

const MIB = 2 ** 20;
const LIMIT = 16 * MIB;
const ENV = 1;

test.each([
  ['xfs', 320],
  ['btrfs', 150],
  ['tmpfs', 100],
] as const)('%s: what is written, and what is on disk, end at the limit', async (type, size) => {
  const disk = new SmallDisk(size * MIB, type);
  const root = await TestRoot.create({}, disk.place);
  try {
    await root.import('t', root.directory('source'));
    await root.create('env', 't');
    await root.ok('set', 'env', `limits.disk=${LIMIT}`);
    const m = await root.mount('env');
    const fill =
      'cd "$1"; rm -f *; for i in $(seq 9); do dd if=/dev/zero of=$i bs=64k count=$2 2>&1 || :; done';
    for (const blocks of ['1000', '40', '60']) {
      const { stdout } = await sh(fill, [m, blocks]);
      expect(stdout).toContain('Disk quota exceeded');
      expect(privateBytes(root, ENV)).toBe(LIMIT);
      expect((await shown(m)).used).toBe(LIMIT);
      const { stdout: sizes } = await sh('cat "$1"/* | wc -c', [m]);
      expect(Number(sizes)).toBe(LIMIT);
    }
  } finally {
    await root.dispose();
    disk.dispose();
  }
});
