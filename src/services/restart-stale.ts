/** Restarts what a patch has left on old files, and nothing else. */
import { atOnce } from '../base/at-once.ts';
import { runProgram } from '../base/run-program.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { unitOf } from '../manager/envs/runtime/units.ts';
import { type StaleFile, staleFiles } from '../manager/rollout/stale.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { prepareExec } from './exec-env.ts';
import { STARTED_AT_ONCE, type StartHooks, startEnv, stopEnv } from './start-env.ts';

/** What was restarted in one env. */
export interface StaleRestarted {
  readonly env: number;
  readonly name: string;
  /** units: services of its systemd. env: the env itself. none: nothing could be. */
  readonly how: 'units' | 'env' | 'none';
  /** The services, by name; systemd itself is init.scope. */
  readonly units: readonly string[];
  /** What still uses old files. */
  readonly left: readonly StaleFile[];
}

/** systemd itself. It is told to run its new program, and goes on with what it knows. */
const INIT = 'init.scope';
/** Services that others hold connections to for good: restarted alone, they would leave the env half dead. */
const NEVER = /^dbus(?:-broker)?[.]service$/;
const RESTARTED = /[.]service$/;
const OUTPUT_MAX = 4096;
/** How long a service may take to stop and start. */
const UNITS_MS = 120_000;

/**
 * Restarts, in each env, what uses old files: services of its systemd, or else the env itself. Envs in which nothing does are not
 * touched.
 * @param timeoutMs as stopEnv() takes it
 */
export async function restartStale(
  store: Store,
  rows: readonly EnvRow[],
  timeoutMs: number,
  hooks: StartHooks,
): Promise<StaleRestarted[]> {
  const stale = byEnv(await staleFiles(store, rows));
  const concerned = rows.filter(({ name }) => stale.has(name));
  const done = await atOnce(concerned, STARTED_AT_ONCE, async (row) => ({
    env: row.id,
    name: row.name,
    ...(await restartIn(store, row, stale.get(row.name) ?? [], timeoutMs, hooks)),
  }));
  // All processes of the machine are looked through for this: once.
  const left = byEnv(await staleFiles(store, concerned));
  return done.map((each) => ({ ...each, left: left.get(each.name) ?? [] }));
}

function byEnv(files: readonly StaleFile[]): Map<string, StaleFile[]> {
  const found = new Map<string, StaleFile[]>();
  for (const file of files) found.set(file.env, [...(found.get(file.env) ?? []), file]);
  return found;
}

async function restartIn(
  store: Store,
  row: EnvRow,
  stale: readonly StaleFile[],
  timeoutMs: number,
  hooks: StartHooks,
): Promise<Pick<StaleRestarted, 'how' | 'units'>> {
  const bundle = new BundleDir(store.root, row.id);
  // Programs in a chroot are not ours to restart.
  if (bundle.firstProcess() === null) return { how: 'none', units: [] };
  if (bundle.note()?.isSystemd === true) {
    const found = stale.map(({ pid }) => unitOf(store.root, row.id, pid));
    const units = [...new Set(found)].filter((unit) => unit !== null).sort();
    await restartUnits(store, row, units);
    return { how: 'units', units };
  }
  await stopEnv(store, row, { timeoutMs }, hooks.patience);
  await startEnv(store, row, {}, hooks);
  return { how: 'env', units: [] };
}

async function restartUnits(store: Store, row: EnvRow, units: readonly string[]): Promise<void> {
  if (units.includes(INIT)) await systemctl(store, row, ['daemon-reexec']);
  const services = units.filter((unit) => RESTARTED.test(unit) && !NEVER.test(unit));
  // One that fails to start is in `left` no more, and `systemctl --failed` shows it.
  if (services.length > 0) await systemctl(store, row, ['try-restart', ...services]);
}

async function systemctl(store: Store, row: EnvRow, words: readonly string[]): Promise<void> {
  const request = { words: ['systemctl', ...words], terminal: null };
  const prepared = prepareExec(store, row, request).prepareCommand();
  const options = { outputMax: OUTPUT_MAX, ofMore: 'end', timeoutMs: UNITS_MS } as const;
  await runProgram(prepared.command, options).finally(prepared.dispose);
}
