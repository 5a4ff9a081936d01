/** An env that copies a lot, beside one that does a little. By order, not by time. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { output, sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

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
  await root.import('t', root.directory('source'));
  for (const env of ['noisy', 'quiet']) await root.create(env, 't');
});
afterEach(async () => {
  await root.dispose();
  execFileSync('umount', [memory]);
  rmSync(memory, { recursive: true });
});

/**
 * Copies files in one env, each by one system call; when all of these wait for their answer, fsyncs a small file in
 * the other. There is nothing else to make durable: one turn on the thread pool. Prints what ended, in order; "late" before all if a
 * copy had ended when this one came to look, as it may on a busy machine.
 */
const PROGRAM = `
import os, sys, threading, time
noisy, quiet, waiting = sys.argv[1:]
ended = []

def copy(i):
    source = os.open(noisy + "/source", os.O_RDONLY)
    target = os.open(noisy + "/copy-%d" % i, os.O_CREAT | os.O_WRONLY)
    barrier.wait()
    copied = os.copy_file_range(source, target, ${MIB} << 20)
    ended.append("copy %d" % (copied >> 20))

def fsync():
    file = os.open(quiet + "/file", os.O_CREAT | os.O_WRONLY)
    os.write(file, b"text")
    os.fsync(file)
    os.write(file, b"more")
    barrier.wait()
    while int(open(waiting).read()) < ${COPIES} and not ended: time.sleep(0.001)
    if ended: ended.insert(0, "late")
    os.fsync(file)
    ended.append("fsync")

barrier = threading.Barrier(${COPIES} + 1)
threads = [threading.Thread(target=copy, args=(i,)) for i in range(${COPIES})]
threads.append(threading.Thread(target=fsync))
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*ended, sep="\\n")`;

/** Where the kernel counts the requests of a mount that wait for their answer. */
async function waitingFile(mountpoint: string): Promise<string> {
  await sh('mountpoint -q "$1" || mount -t fusectl none "$1"', [CONNECTIONS]);
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const device = lines.find((line) => line.split(' ')[4] === mountpoint)!.split(' ')[2]!;
  return path.join(CONNECTIONS, device.split(':')[1]!, 'waiting');
}

test('a small fsync is answered before copies that another env began before it', async () => {
  const noisy = await root.mount('noisy');
  const quiet = await root.mount('quiet');
  await sh('head -c "$2" /dev/zero >"$1/source"', [noisy, String(MIB << 20)]);
  const args = ['-c', PROGRAM, noisy, quiet, await waitingFile(noisy)];
  let ended: string[];
  do ended = (await output('python3', args)).trim().split('\n');
  while (ended[0] === 'late');
  // All at once, as on a local file system, though it was copied in slices.
  const copies = ended.filter((each) => each !== 'fsync');
  expect(copies).toEqual(Array.from({ length: COPIES }, () => `copy ${MIB}`));
  // Copies have equal shares, and end at about the same time. By libuv's own order it would come after most.
  expect(ended.indexOf('fsync')).toBeLessThan(COPIES / 2);
});
