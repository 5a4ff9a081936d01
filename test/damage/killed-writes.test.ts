/** A driver that is killed at each of its failpoints, during every kind of write: programs see no error, and nothing is damaged. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KILL_STEP } from '../support/damage/failpoints.ts';
import { writeFiles } from '../support/machine/patch-root.ts';
import { output, sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const PROGRAM = new URL('./every-write.ts', import.meta.url).pathname;
const TEMPLATE = {
  'etc/conf': 'from the template\n',
  'etc/mapped': 'm'.repeat(8192),
  'etc/cut': 'to be cut\n',
  'etc/replaced': 'old\n',
  'etc/removed': 'old\n',
  'etc/attributes': 'old\n',
  'etc/copied': 'c'.repeat(300_000),
};
/** More than there are. */
const FAILPOINTS_MAX = 1000;
/** Beside the fewer kills of the suite: each takes a second. */
const STEP = KILL_STEP === 1 ? 1 : 19;

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create({ BYREF_RESUME: '1' });
  writeFiles(root.directory('tree'), TEMPLATE);
  await root.import('t', root.directory('tree'));
});
afterEach(() => root.dispose());

test.each([
  ['with passthrough', []],
  ['without passthrough', ['--no-passthrough']],
])('%s', { timeout: 3_600_000 }, async (_, options) => {
  for (let n = 1; n < FAILPOINTS_MAX; n += STEP) {
    const env = `e${n}`;
    await root.create(env, 't');
    // Inherited by the driver that this starts; the next one has none.
    const mounted = await root.run(['mount', env, ...options], {
      env: { ...root.env, BYREF_FAILPOINT: `*:${n}` },
    });
    // It may be killed before it has mounted anything.
    if (mounted.code !== 0) await root.ok('mount', env, ...options);
    const { driverPid, mountpoint } = await root.info(env);
    await output(process.execPath, ['--import', 'tsx', PROGRAM, mountpoint!], { timeout: 60_000 });
    const { stdout } = await sh(
      'find . -type f -exec sha256sum {} + | sort -k 2; find . | sort',
      [],
      {
        cwd: mountpoint!,
      },
    );
    const isOver = mounted.code === 0 && (await root.info(env)).driverPid === driverPid;
    // The last ones are those of its end.
    const { code } = await root.byref('umount', env);
    await expect.poll(() => root.processes(), { timeout: 20_000 }).toEqual([]);
    if (code !== 0) await root.byref('umount', env);
    expect(await root.findings(), `failpoint ${n}`).toEqual([]);
    const again = await root.mount(env, ...options);
    const after = await sh('find . -type f -exec sha256sum {} + | sort -k 2; find . | sort', [], {
      cwd: again,
    });
    expect(after.stdout, `failpoint ${n}`).toBe(stdout);
    await root.umount(env);
    await root.ok('destroy', env);
    await expect.poll(() => root.processes(), { timeout: 20_000 }).toEqual([]);
    if (!isOver) continue;
    expect(n).toBeGreaterThan(20);
    return;
  }
  expect.unreachable('it came by more failpoints than expected');
});
