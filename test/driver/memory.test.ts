/** A driver whose heap is smaller than what its envs' programs look at. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ControlClient } from '../../src/ipc/client.ts';
import type { DriverStatus, DriverVerbs } from '../../src/ipc/protocol.ts';
import { findDriver } from '../../src/manager/envs/spawn.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

/** MiB of the heap, which the files below would fill more than once, and of its part for young objects. */
const [HEAP, YOUNG] = [16, 1];
const DIRS = 30;
const FILES = 1000;

let root: TestRoot;
/** As long as somebody asks it, it does not end for want of mounts. */
let driver: ControlClient<DriverVerbs> | null = null;
let holder: ChildProcessByStdio<Writable, Readable, null> | null = null;
/** A driver that died keeps its programs waiting: the test fails sooner than that. */
const WALK_MS = 30_000;

beforeEach(async () => {
  root = await TestRoot.create();
  process.env['BYREF_RUN'] = root.env['BYREF_RUN'];
  const tar = path.join(root.base, 'files.tar');
  writeFileSync(tar, archive());
  await root.import('many', tar);
  for (const env of ['one', 'two']) await root.create(env, 'many');
  const NODE_OPTIONS = `--max-old-space-size=${HEAP} --max-semi-space-size=${YOUNG}`;
  const { code } = await root.run(['mount', 'one', 'two'], { env: { ...root.env, NODE_OPTIONS } });
  expect(code).toBe(0);
  driver = await findDriver(root.path, 0);
});
afterEach(async () => {
  driver?.close();
  if (holder?.exitCode === null) process.kill(-holder.pid!, 'SIGKILL');
  await root.dispose();
});

/** Of empty files: one header each. */
function archive(): Buffer {
  const headers: Buffer[] = [];
  for (let dir = 0; dir < DIRS; dir++) {
    headers.push(header(`usr/d${dir}/`, '5'));
    for (let file = 0; file < FILES; file++) headers.push(header(`usr/d${dir}/f${file}`, '0'));
  }
  return Buffer.concat([...headers, Buffer.alloc(1024)]);
}

function header(name: string, type: string): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write(name, 0);
  bytes.write(type === '5' ? '0000755' : '0000644', 100);
  for (const [at, width] of [
    [108, 7],
    [116, 7],
    [124, 11],
    [136, 11],
  ] as const) {
    bytes.write('0'.repeat(width), at);
  }
  bytes.write(' '.repeat(8), 148);
  bytes.write(type, 156);
  bytes.write('ustar\x0000', 257, 'latin1');
  const sum = bytes.reduce((all, byte) => all + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return bytes;
}

const status = (): Promise<DriverStatus> => driver!.call('status', null);

/** What a walk of the whole tree finds: how much, and a hash of all of it. */
async function walk(env: string): Promise<{ lines: number; hash: string }> {
  const { stdout, stderr, code } = await sh(
    'find "$1/usr" -printf "%P %i %m %n\\n" | sort',
    [path.join(root.path, 'mnt', env)],
    {
      timeout: WALK_MS,
    },
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const hash = createHash('sha256').update(stdout).digest('hex');
  return { lines: stdout.split('\n').length - 1, hash };
}

/** Holds on to a file, its directory, a mount and a watch before all is walked, and looks at them after it. */
const HOLDER = `
  mount --make-rprivate /
  cd "$1/usr/d0"
  exec 9<f0
  mount --bind f1 f2
  node -e '
    const watcher = require("node:fs").watch("f3", () => { console.log("changed"); process.exit(); });
    console.log("watching");' >"$2" &
  until grep -q watching "$2"; do sleep 0.05; done
  stat -c %i f0 f1 f2 f3 >"$2.before"
  echo ready
  read -r
  stat -c %i f0 f1 f2 f3 | cmp - "$2.before"
  [ "$(stat -Lc %i /proc/self/fd/9)" = "$(stat -c %i f0)" ]
  [ "$(pwd -P)" = "$1/usr/d0" ]
  echo more >f3
  wait
  grep changed "$2"
  umount f2`;

test('an env whose files are more than fit is served all the same, and gives back what it had', async () => {
  const mountpoint = path.join(root.path, 'mnt/one');
  const args = ['-m', 'bash', '-euc', HOLDER, 'sh', mountpoint, path.join(root.base, 'watch')];
  holder = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const said = new Promise<string>((resolve) => {
    let text = '';
    holder!.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    holder!.once('close', (code) => resolve(`${text}exit ${code}`));
  });
  await once(holder.stdout, 'data');
  const before = await status();
  const first = await walk('one');
  expect(first.lines).toBe(1 + DIRS * (1 + FILES));
  const walked = await status();
  expect(walked.pid).toBe(before.pid);
  expect(walked.entries.max).toBeLessThan(first.lines);
  expect(walked.entries.used).toBeLessThan(walked.entries.max);
  expect(await walk('two')).toEqual(first);
  holder.stdin.end('\n');
  expect(await said).toBe('ready\nchanged\nexit 0');
  await root.umount('one', 'two');
  const { entries, faults } = await status();
  expect({ used: entries.used, faults }).toEqual({ used: 0, faults: 0 });
});
