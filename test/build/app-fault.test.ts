import { afterAll, beforeAll, expect, test } from 'vitest';
import { BYREF, sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import type { DebDescription } from '../support/packages/deb.ts';
import { TinyApps } from '../support/packages/tiny-apps.ts';
import { TinySystems } from '../support/packages/tiny-systems.ts';

let systems: TinySystems;

beforeAll(async () => {
  systems = await TinySystems.create();
});
afterAll(() => systems.dispose());

/** Its postinst says that it is there, and goes on for ever. */
const slow: DebDescription = {
  name: 'slow',
  version: '1.0',
  arch: 'all',
  files: { '/usr/share/slow/file': 'x\n' },
  scripts: { postinst: 'sleep 23456.7' },
};

const sleepers = async (): Promise<string> =>
  (await sh("grep -lsz '^23456[.]7' /proc/[0-9]*/cmdline || :")).stdout;

test('a build that is interrupted or killed leaves no process, and the next one sweeps', async () => {
  await systems.during(
    () => systems.repo.add(slow),
    () => systems.repo.remove('slow', '1.0'),
  );
  const apps = await TinyApps.create(systems);
  try {
    const file = apps.config('slow', { packages: ['slow'] });
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const child = apps.root.background('exec "$1" template build "$2"', BYREF, file);
      await expect.poll(sleepers, { timeout: 30_000 }).not.toBe('');
      process.kill(child.pid!, signal);
      await expect
        .poll(() => child.exitCode ?? child.signalCode, { timeout: 10_000 })
        .not.toBeNull();
      await expect.poll(sleepers).toBe('');
      const templates = await apps.root.json<{ name: string }[]>('template', 'list');
      expect(templates.map(({ name }) => name)).toEqual(['tiny']);
      if (signal === 'SIGINT') await apps.expectNothingLeft();
    }
    await apps.build('greet', ['greeter']);
    await apps.expectNothingLeft();
  } finally {
    await apps.dispose();
  }
});

/** An ext4 of its own for the root, in which the tiny system has room. */
const SIZE = 128 * 2 ** 20;

test('the root is full: a sentence, and the store is as before', async () => {
  const disk = new SmallDisk(SIZE);
  try {
    // Sockets have short paths.
    const root = await TestRoot.create({}, disk.place);
    await onFullDisk(await TinyApps.create(systems, root), disk);
  } finally {
    disk.dispose();
  }
});

async function onFullDisk(apps: TinyApps, disk: SmallDisk): Promise<void> {
  try {
    // Before there is no room for it.
    const config = apps.config('bad', { packages: ['linked', 'userful'] });
    for (const left of [0, 2 ** 16, 2 ** 18]) {
      disk.fill(left);
      const { code, stderr } = await apps.root.byref('template', 'build', config);
      disk.empty();
      expect([left, code], stderr).toEqual([left, 9]);
      expect(stderr).toMatch(/no space left on the device.*\n {2}hint: Free some space/);
      await apps.expectNothingLeft();
      await apps.root.ok('fsck', '--full');
    }
    await apps.build('good', ['linked', 'userful']);
  } finally {
    await apps.dispose();
  }
}
