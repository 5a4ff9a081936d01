/** The limit of an env's inodes: what it made, and copies of template files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sh } from '../../support/machine/program.ts';
import { TestRoot } from '../../support/machine/root.ts';
import { shown } from './private-bytes.ts';

const LIMIT = 20;
const EXCEEDED = 'Disk quota exceeded';

let root: TestRoot;
let m: string;

beforeAll(async () => {
  root = await TestRoot.create();
  const source = root.directory('source');
  mkdirSync(path.join(source, 'etc'));
  for (const name of ['one', 'two', 'three']) writeFileSync(path.join(source, 'etc', name), name);
  await root.import('t', source);
  await root.create('env', 't');
  m = await root.mount('env');
  await root.ok('set', 'env', `limits.disk.inodes=${LIMIT}`);
});
beforeEach(() => sh('rm -rf "$1"/[!e]*', [m]));
afterAll(() => root.dispose());

async function inEnv(script: string): Promise<string> {
  const { stdout } = await sh(`set +e; cd "$1"; { ${script}; } 2>&1`, [m]);
  return stdout;
}

test('every way to make an inode ends at the limit, and df -i says so', async () => {
  const before = await shown(m);
  expect(before).toMatchObject({ inodes: LIMIT, inodesUsed: 0 });
  const said = await inEnv(`
    mkdir d; ln -s to d/link; mkfifo d/pipe; mknod d/null c 1 3; echo x >d/file; echo y >>etc/one
    for i in $(seq 6 ${LIMIT - 1}); do touch d/$i; done
    df --output=iavail . | tail -1
    mkdir e; ln -s to f; mkfifo g; mknod h c 1 3; echo >i; echo y >>etc/two; touch j`);
  expect(said.match(new RegExp(EXCEEDED, 'g'))).toHaveLength(7);
  expect(said).toMatch(/^ *0$/m);
  expect(await root.info('env')).toMatchObject({ privateInodes: LIMIT });
  expect(await root.ok('info', 'env')).toMatch(
    new RegExp(`inodes: +\\d+ changed, ${LIMIT} of ${LIMIT} its own`),
  );
});

test('names, attributes and removals need none; what is removed gives room at once', async () => {
  const said = await inEnv(`
    for i in $(seq ${LIMIT - 1}); do touch $i; done; touch last || touch last
    ln 1 again && mv 2 moved && chmod 600 etc/two && rm etc/three && echo changed
    for i in $(seq 50); do touch more && exit; rm 3 && touch 3 || exit; done
    rm 4 && mkdir 4 && rmdir 4 && ln -s to 4 && rm 4 && echo x >>etc/two && echo made`);
  expect(said).toContain('changed');
  expect(said.match(new RegExp(EXCEEDED, 'g'))!.length).toBeGreaterThanOrEqual(50);
  expect(said.trim().endsWith('made')).toBe(true);
});

test('an open for writing that writes nothing takes none for long', async () => {
  const used = (await shown(m)).inodesUsed;
  await sh('exec 3<>"$1/etc/two"; exec 3>&-', [m]);
  await expect.poll(async () => (await shown(m)).inodesUsed).toBe(used);
});

test('the bytes are not bounded, and go by passthrough', async () => {
  const { stdout } = await sh(
    'dd if=/dev/zero of="$1/file" bs=1M count=30 2>/dev/null && stat -c %s "$1/file"',
    [m],
  );
  expect(stdout).toBe(`${30 * 2 ** 20}\n`);
  expect((await shown(m)).size).toBe((await shown(root.path)).size);
});
