/** An env that copies a lot, beside one that does a little. By order, not by time. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sh } from '../support/program.ts';
import { TestRoot } from '../support/root.ts';

const CONNECTIONS = '/sys/fs/fuse/connections';
const COPIES = 12;
const MIB = 64;

/** In memory: what a disk makes of so many bytes is not this test's. */
let memory: string;
let root: TestRoot;

beforeEach(async () => {
  memory = mkdtempSync(path.join(tmpdir(), 'byref-memory-'));
  execFileSync('mount', ['-t', 'tmpfs', 'none', memory]);
  root = await TestRoot.create({}, memory);
  await root.ok('template', 'import', 't', root.directory('source'));
  for (const env of ['noisy', 'quiet']) await root.ok('create', env, '--os', 't');
});
afterEach(async () => {
  await root.dispose();
  execFileSync('umount', [memory]);
  rmSync(memory, { recursive: true });
});

/** One system call copies all. Each program says that it is ready, and waits for a line. */
const COPY = `
import os, sys
source, copy = os.open("source", os.O_RDONLY), os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
print("ready", flush=True)
sys.stdin.readline()
print(os.copy_file_range(source, copy, ${MIB} << 20), flush=True)`;

/** The second time there is nothing to make durable but the file's bytes: one turn on the thread pool. */
const FSYNC = `
import os, sys
file = os.open("file", os.O_CREAT | os.O_WRONLY)
os.write(file, b"text")
os.fsync(file)
os.write(file, b"more")
print("ready", flush=True)
sys.stdin.readline()
os.fsync(file)
print("done", flush=True)`;

/** Resolves when so many requests of a mount wait for their answer. */
async function waiting(mountpoint: string, requests: number): Promise<void> {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((each) => each.split(' ')[4] === mountpoint);
  const connection = line!.split(' ')[2]!.split(':')[1]!;
  await sh('mountpoint -q "$1" || mount -t fusectl none "$1"', [CONNECTIONS]);
  const count = path.join(CONNECTIONS, connection, 'waiting');
  while (Number(readFileSync(count, 'utf8')) < requests) await sleep(1);
}

/** A program's lines, and its end. */
class Program {
  readonly ready: Promise<unknown>;
  readonly answered: Promise<unknown>;
  readonly ended: Promise<unknown>;
  text = '';
  private readonly child: ChildProcess;

  constructor(script: string, cwd: string, arg = '') {
    this.child = spawn('python3', ['-c', script, arg], { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
    this.ready = once(this.child.stdout!, 'data');
    this.answered = this.ready.then(() => once(this.child.stdout!, 'data'));
    this.ended = once(this.child, 'close');
    this.child.stdout!.on('data', (bytes: Buffer) => {
      this.text += bytes.toString();
    });
  }

  begin(): void {
    this.child.stdin!.end('\n');
  }
}

test('a small fsync is answered before the copies of another env that began before it', async () => {
  const noisy = await root.mount('noisy');
  const quiet = await root.mount('quiet');
  await sh('head -c "$2" /dev/zero >"$1/source"', [noisy, String(MIB << 20)]);
  const copies = Array.from({ length: COPIES }, (_, i) => new Program(COPY, noisy, `copy-${i}`));
  const fsync = new Program(FSYNC, quiet);
  const programs = [...copies, fsync];
  await Promise.all(programs.map(({ ready }) => ready));
  const order: Program[] = [];
  for (const program of programs) void program.answered.then(() => order.push(program));
  for (const copy of copies) copy.begin();
  await waiting(noisy, COPIES);
  fsync.begin();
  await Promise.all(programs.map(({ ended }) => ended));
  expect(fsync.text).toBe('ready\ndone\n');
  // All at once, as on a local file system, though it was copied in slices.
  expect(copies.map(({ text }) => text)).toEqual(copies.map(() => `ready\n${MIB << 20}\n`));
  expect(order.indexOf(fsync)).toBeLessThan(COPIES / 2);
});
