import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { runProgram } from '../../../base/run-program.ts';
import { monitorProgram } from '../../../native/binding.ts';
import { criuComplaint, criuProgram } from '../../envs/checkpoint/criu.ts';
import { type Check, check } from './check.ts';

const NAME = 'run.checkpoint';
const LACKS = 'no byref checkpoint, no byref move --live';
const DUMP_MS = 20_000;
const OUTPUT_MAX = 4096;

/** Checks whether processes can be put into files here. CRIU's version does not say so, nor does `criu check`: a process with a socket is dumped. */
export async function checkpointCheck(): Promise<Check> {
  let program: string;
  try {
    program = criuProgram();
  } catch (error) {
    if (!(error instanceof ByrefError)) throw error;
    return check(NAME, false, 'no CRIU', `${LACKS} (CRIU 4.2 or newer)`, 'reduced');
  }
  const said = await run([program, '--version']);
  const version = `CRIU ${/^Version: (.*)$/m.exec(said.stdout.toString())?.[1] ?? 'of no version'}`;
  const failed = await dumpFails(program);
  const cost = `${LACKS}: ${failed ?? ''} (CRIU 4.2 or newer does it on Linux 6.16 and later)`;
  return check(NAME, failed === null, version, cost, 'reduced');
}

/** Returns why a process with a socket can't be dumped; null if it can. */
async function dumpFails(program: string): Promise<string | null> {
  const directory = mkdtempSync(path.join(tmpdir(), 'byref-doctor-'));
  const child = spawn(monitorProgram(), ['probe'], {
    ...{ stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' },
  });
  const ended = once(child, 'exit');
  try {
    await Promise.race([once(child.stdout, 'data'), ended]);
    const words = ['dump', '--tree', String(child.pid), '--images-dir', directory];
    const options = ['--network-lock', 'skip', '--leave-running', '--log-file', 'log'];
    const { code, how } = await run([program, ...words, ...options]);
    return code === 0 ? null : criuComplaint(path.join(directory, 'log')) || how;
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

const run = (words: readonly string[]): ReturnType<typeof runProgram> =>
  runProgram(words, { outputMax: OUTPUT_MAX, ofMore: 'end', timeoutMs: DUMP_MS });
