import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { createEnv } from '../../src/services/create-env.ts';
import { openStore } from '../../src/store/store.ts';
import { TestRoot } from '../support/machine/root.ts';
import { type Probe, probes, writeVersions } from '../support/trees/flip-trees.ts';
import { PHASES, Readers } from './readers.ts';

/** How long a test may take, on a machine that does much else. */
export const LONG = 600_000 * Number(process.env['BYREF_SOAK'] ?? 1);

interface Run {
  readonly envs: number;
  readonly rounds: number;
  readonly readers: number;
  /** Options of `byref mount`. */
  readonly mount: readonly string[];
  /** The kernel forgets all that it can forget, again and again. */
  readonly cold?: boolean;
  /** Which of the probes, if not all. */
  readonly only?: (probe: Probe) => boolean;
}

/** `scripts/soak.sh` asks for more rounds than a run of all tests has time for. */
const TIMES = Number(process.env['BYREF_SOAK'] ?? 1);
const PAUSE_MS = 30;
/** Envs of one `byref mount`. */
const BATCH = 100;

/** Patches and rolls back a template under readers of mounted envs, who may see no error and nothing but the two versions. */
export async function patchUnderReaders(run: Run): Promise<void> {
  const root = await TestRoot.create();
  try {
    await onRoot(root, run);
  } finally {
    await root.dispose();
  }
}

async function onRoot(root: TestRoot, run: Run): Promise<void> {
  const { envs, rounds, readers: count, mount, cold = false, only = () => true } = run;
  const [oldDir, newDir] = [path.join(root.base, 'old'), path.join(root.base, 'new')];
  writeVersions(oldDir, newDir);
  await root.import('t', oldDir);
  await root.import('t', newDir);
  const names = Array.from({ length: envs }, (_, i) => `e${i}`);
  await createAll(root, names);
  for (let i = 0; i < names.length; i += BATCH) {
    await root.ok('mount', ...names.slice(i, i + BATCH), ...mount);
  }
  const readers = new Readers(root.base, probes().filter(only), oldDir, newDir);
  const mounts = names.map((name) => path.join(root.path, 'mnt', name));
  readers.start(mounts, count);
  const dropping = cold ? spawn('bash', ['-c', DROP_CACHES]) : null;
  try {
    for (let round = 0; round < rounds * TIMES; round++) {
      await sleep(PAUSE_MS);
      readers.next(PHASES.forwards);
      await root.ok('patch', 't', '--to', '2');
      readers.next(PHASES.new);
      await sleep(PAUSE_MS);
      readers.next(PHASES.back);
      await root.ok('rollback', 't');
      readers.next(PHASES.old);
    }
    await sleep(PAUSE_MS);
  } finally {
    dropping?.kill();
    const { seen, complaints } = await readers.stop();
    expect(complaints.slice(0, 10)).toEqual([]);
    expect(seen.wrong).toBe(0);
    expect(seen.old).toBeGreaterThan(100);
    expect(seen.new).toBeGreaterThan(100);
  }
}

const DROP_CACHES = 'while echo 2 >/proc/sys/vm/drop_caches; do sleep 0.05; done';

async function createAll(root: TestRoot, names: readonly string[]): Promise<void> {
  const store = await openStore(root.path, { write: true });
  try {
    for (const name of names) await createEnv(store, { name, os: 't', apps: [] });
  } finally {
    await store.close();
  }
}
