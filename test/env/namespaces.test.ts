import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestRoot } from '../support/root.ts';

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create({ BYREF_HELD_WAIT_MS: '1000' });
});
afterEach(() => root.dispose());

test('an env that another mount namespace has is taken out of this one, and that is said at once', async () => {
  const tree = root.directory('tree');
  await root.mounted('e', tree);
  const other = root.background(
    'exec unshare --mount --propagation=private sh -c "touch $1; exec sleep 1000"',
    `${root.base}/there`,
  );
  await expect
    .poll(() => root.shell(`test -e ${root.base}/there`, '/').then(({ code }) => code))
    .toBe(0);
  const [held] = await root.json<{ outcome: string; heldBy: { pid: number; command: string }[] }[]>(
    'umount',
    'e',
  );
  expect(held).toMatchObject({
    outcome: 'detached',
    heldBy: [{ command: 'sleep', pid: other.pid }],
  });
  process.kill(other.pid!, 'SIGKILL');
  await expect.poll(() => root.info('e').then(({ state }) => state)).toBe('stopped');
  await root.mount('e');
});
