import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

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

test('an env that another mount namespace has is mounted again as what it has there', async () => {
  const tree = root.directory('tree');
  const mountpoint = await root.mounted('e', tree);
  const other = root.background(
    `exec unshare --mount --propagation=private sh -c 'exec 9>"$1/open"; flock -x 9; touch "$2"; exec sleep 1000' sh "$1" "$2"`,
    mountpoint,
    `${root.base}/there`,
  );
  await expect.poll(() => existsSync(`${root.base}/there`)).toBe(true);
  await root.ok('umount', 'e');
  expect((await root.info('e')).state).toBe('detached');

  // What can't be so is said, with who keeps it.
  const traced = await root.byref('mount', 'e', '--trace');
  expect(traced.code).toBe(EXIT.busy);
  expect(traced.stderr).toContain(`sleep (pid ${other.pid})`);
  expect(traced.stderr).not.toContain('byref umount');

  const place = root.directory('again');
  expect(await root.mount('e', '--at', place, '-o', 'noatime')).toBe(place);
  expect(await root.info('e')).toMatchObject({ state: 'mounted', options: 'rw,noatime' });
  const both = await sh(
    `there() { nsenter -t "$1" -m sh -euc "$2" sh "$3"; }
     flock -n "$2/open" true || echo locked
     echo here >"$2/new"; there "$1" 'cat "$1/new"; stat -c %d:%i "$1/new"' "$3"; stat -c %d:%i "$2/new"
     there "$1" 'echo there >"$1/new"' "$3"; cat "$2/new"`,
    [String(other.pid), place, mountpoint],
  );
  const [locked, ...lines] = both.stdout.trim().split('\n');
  expect([locked, lines[0], lines[3]], both.stderr).toEqual(['locked', 'here', 'there']);
  expect(lines[1]).toBe(lines[2]);

  // One copy less is not the end of it; the last one is.
  await root.ok('umount', 'e');
  await root.mount('e');
  process.kill(other.pid!, 'SIGKILL');
  expect(await sh('cat "$1/new"', [mountpoint])).toMatchObject({ stdout: 'there\n' });
  expect(await root.json('umount', 'e')).toMatchObject([{ outcome: 'unmounted' }]);
});

test('umount of several waits for all at once, and says for whom', async () => {
  const tree = root.directory('tree');
  const places = [await root.mounted('a', tree), await root.mounted('b', tree)];
  const others = places.map((place, i) =>
    root.background(
      'exec unshare --mount --propagation=private sh -c "umount $2; touch $1; exec sleep 1000"',
      `${root.base}/there-${i}`,
      places[1 - i]!,
      place,
    ),
  );
  for (const i of [0, 1]) await expect.poll(() => existsSync(`${root.base}/there-${i}`)).toBe(true);
  const waiting = root.run(['umount', '--all'], {
    env: { ...root.env, BYREF_HELD_WAIT_MS: '60000' },
  });
  // The second one is out of the tree while the first one is waited for.
  const states = () => Promise.all(['a', 'b'].map((env) => root.info(env).then((e) => e.state)));
  await expect.poll(states).toEqual(['detached', 'detached']);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  for (const other of others) process.kill(other.pid!, 'SIGKILL');
  const { code, stdout, stderr } = await waiting;
  expect([code, stdout.trim().split('\n').sort()]).toEqual([0, ['a: unmounted', 'b: unmounted']]);
  for (const [i, name] of ['a', 'b'].entries()) {
    const who = `sleep (pid ${others[i]!.pid})`;
    expect(stderr).toContain(
      `${name}: waiting; a mount namespace of its own has it: that of ${who}`,
    );
  }
});
