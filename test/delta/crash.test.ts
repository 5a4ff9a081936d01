import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { filesAfter, filesIn, OBJECT_SIZE, STEPS } from './crash-history.ts';
import { open } from './open-env.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const WATCHDOG_MS = 20_000;
let scratch: string;
let writer: string;
let object: string;

/** The writer as JavaScript: it is started some hundred times. */
beforeAll(async () => {
  scratch = newDir();
  object = path.join(scratch, 'object');
  writeFileSync(object, Buffer.alloc(OBJECT_SIZE, 'object'));
  symlinkSync(path.join(ROOT, 'native'), path.join(scratch, 'native'));
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(scratch, 'node_modules'));
  await build({
    absWorkingDir: ROOT,
    entryPoints: {
      'test/crash-writer': 'test/delta/crash-writer.ts',
      'dist/driver/delta/checkpoint-worker': 'src/driver/delta/checkpoint-worker.ts',
    },
    outdir: scratch,
    outExtension: { '.js': '.js' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  });
  writeFileSync(path.join(scratch, 'package.json'), '{"type":"module"}');
  writer = path.join(scratch, 'test/crash-writer.js');
});
afterAll(() => removeDir(scratch));

interface Run {
  readonly killed: boolean;
  /** Steps that were answered, and flushed. */
  readonly committed: number;
  readonly flushed: number;
}

function run(env: string, failpoint: string): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [writer, env, object], {
      env: { ...process.env, BYREF_FAILPOINT: failpoint },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const watchdog = setTimeout(() => child.kill('SIGTERM'), WATCHDOG_MS);
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      const last = (kind: string) =>
        Number(
          out
            .split('\n')
            .findLast((line) => line.startsWith(`${kind} `))
            ?.slice(2) ?? -1,
        );
      const counts = { committed: last('c') + 1, flushed: last('f') + 1 };
      if (signal === 'SIGKILL') resolve({ killed: true, ...counts });
      else if (code === 0) resolve({ killed: false, ...counts });
      else reject(new Error(`writer: ${String(code)} ${String(signal)} at ${failpoint}: ${err}`));
    });
  });
}

/** How many steps of the history the env shows; fails if it is not some number of whole steps. */
function stepsIn(delta: EnvDelta): number {
  const files = filesIn(delta).join();
  const counts = Array.from({ length: STEPS + 1 }, (_, count) => count);
  const fitting = counts.filter((count) => filesAfter(count).join() === files);
  expect(fitting, `files ${files}`).not.toEqual([]);
  return fitting.at(-1)!;
}

/** Goes on as a driver does that takes over from one that was killed: nothing is missing, and nothing is put on disk for that. */
async function checkTakenOver(env: string, result: Run, label: string): Promise<void> {
  const delta = await open(env, { keepOrphans: true, goesOn: true });
  expect(delta.readOnly, label).toBeNull();
  expect(stepsIn(delta), label).toBeGreaterThanOrEqual(result.committed);
  expect(await delta.flush()).toBe(0);
  expect(delta.dirty, label).toBe(false);
  await delta.close();
}

async function checkAfterKill(env: string, result: Run, label: string): Promise<void> {
  const delta = await open(env);
  expect(delta.readOnly, label).toBeNull();
  const steps = stepsIn(delta);
  // Answered changes are there; one that was not answered may be.
  expect(steps, label).toBeGreaterThanOrEqual(result.committed);
  expect(steps, label).toBeLessThanOrEqual(result.committed + 1);
  expect(delta.orphans(), label).toEqual([]);
  expect(await delta.flush()).toBe(0);
  await delta.close();
  // And no private file is left that nobody refers to.
  const privates = path.join(env, 'private');
  const there = readdirSync(env).includes('private') ? readdirSync(privates).length : 0;
  expect(there, label).toBe(filesAfter(steps).length);
  // A copy that was not committed is kept: nothing says that its record was never there.
  const others = ['private', 'link', 'lost+found'];
  expect(readdirSync(env).filter((name) => !others.includes(name))).toEqual(['lock']);
}

test('killed at any failpoint, an env holds all that was answered and nothing half done', async () => {
  let next = 1;
  let ended = false;
  const walk = async (): Promise<void> => {
    while (!ended) {
      const count = next++;
      const env = path.join(scratch, `env-${count}`);
      mkdirSync(env);
      const result = await run(env, `*:${count}`);
      if (!result.killed) ended = true;
      if (count % 2 === 0) await checkTakenOver(env, result, `failpoint ${count}`);
      await checkAfterKill(env, result, `failpoint ${count}`);
      removeDir(env);
    }
  };
  await Promise.all([walk(), walk()]);
  expect(next).toBeGreaterThan(80);
}, 240_000);
