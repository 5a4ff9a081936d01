/** A link table that is damaged costs its own env, and no other one of the shard. */
import { readFileSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { RunDir } from '../../src/ipc/run-dir.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { PAGE, zeroOnePage } from './pages.ts';

const POLL = { timeout: 20_000 };

let root: TestRoot;
const table = (env: number): string => path.join(root.path, 'envs', String(env), 'link/data.mdb');
const at = (env: string): string => path.join(root.path, 'mnt', env);

/** The log of the driver that serves all envs. */
function log(): string {
  const before = process.env['BYREF_RUN'];
  process.env['BYREF_RUN'] = root.env['BYREF_RUN'];
  const { log: file } = new RunDir(root.path).driver(0);
  if (before === undefined) Reflect.deleteProperty(process.env, 'BYREF_RUN');
  else process.env['BYREF_RUN'] = before;
  return readFileSync(file, 'utf8');
}

beforeAll(async () => {
  root = await TestRoot.create();
  await root.import('os', root.directory('source'));
  for (const env of ['e1', 'e2', 'e3', 'e4']) {
    await root.create(env, 'os');
    await sh('cd "$1"; for i in $(seq 300); do echo $i >file-$i; done', [await root.mount(env)]);
  }
  await root.umount();
});
afterAll(() => root.dispose());

test('is not opened: its mount is refused, by exit 10 and what to do; all other envs are served', async () => {
  truncateSync(table(1), statSync(table(1)).size - PAGE);
  zeroOnePage(table(2));
  const { code, stderr, stdout } = await root.byref('mount', '--all');
  expect(code).toBe(EXIT.corrupt);
  for (const env of [1, 2]) {
    expect(stderr).toMatch(new RegExp(`link table in .*envs/${env}/link is damaged: its page`));
  }
  expect(stderr).toMatch(/hint: See byref fsck\. Restore the env from a backup/);
  expect(stdout).toMatch(/^e3: mounted on /);
  const written = await sh('echo more >"$1/more"; cat "$1/more" "$1/file-7"', [at('e3')]);
  expect(written).toMatchObject({ code: 0, stdout: 'more\n7\n' });
});

test('that goes bad while it is in use is an error for what reads it; the driver and all other envs go on', async () => {
  const others = await root.mount('e4');
  const { driverPid } = await root.info('e4');
  truncateSync(table(3), 0);
  const listed = await sh('ls -l "$1"', [at('e3')]);
  expect(listed.code).not.toBe(0);
  expect(listed.stderr).toMatch(/Input\/output error/);
  expect(log()).toMatch(/it ends before its last page/);
  // What the checkpoint thread would open with LMDB: it looks before, and then nothing is changed any more.
  await sh('echo new >"$1/new"', [at('e3')]);
  const change = async (): Promise<string> => (await sh('chmod 600 "$1/new"', [at('e3')])).stderr;
  await expect.poll(change, POLL).toMatch(/Read-only file system/);
  expect((await sh('cat "$1/new"', [at('e3')])).stdout).toBe('new\n');
  expect((await sh('echo more >"$1/more"; cat "$1/file-7"', [others])).stdout).toBe('7\n');
  expect(await root.ok('umount', 'e3')).toContain('unmounted');
  const refused = await root.byref('mount', 'e3');
  expect(refused.code).toBe(EXIT.corrupt);
  expect(refused.stderr).toMatch(/envs\/3\/link is damaged: its meta page at byte 0 is missing/);
  expect((await root.info('e4')).driverPid).toBe(driverPid);
});
