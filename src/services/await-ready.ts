/** Waits until a running env is ready for use. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../base/error.ts';
import { type Ended as ProgramEnded, runProgram } from '../base/run-program.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { consoleLog } from '../manager/envs/runtime/launch.ts';
import { INIT_INSIDE } from '../manager/envs/runtime/oci-config.ts';
import { processesOf } from '../manager/envs/runtime/processes.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { type PreparedCommand, prepareExec } from './exec-env.ts';

/** What there is to say about an env that is ready. */
export interface Ready {
  /** Units of its systemd that failed when it booted; it runs all the same ("degraded"). */
  readonly failedUnits: readonly string[];
}

const POLL_MS = 200;
/** How long one try of a health command may take. */
const TRY_MS = 30_000;
const OUTPUT_MAX = 4096;
const LINES = 10;
const LOG_PART = 8192;

/** Why an env is not ready yet: a part of a sentence. null: it is. */
type Missing = string | null;

/**
 * Waits until an env is ready. With systemd: it has booted, which systemd says itself. Else: its first process runs. In both
 * cases, its setting `health`, a command that is run in it, ends with exit status 0.
 * @param timeoutMs how long to wait
 * @throws ByrefError 'error' if it ended, or is not ready in time, with the units that failed or are being started, or what it said last
 */
export async function awaitReady(store: Store, row: EnvRow, timeoutMs: number): Promise<Ready> {
  const { health } = store.settings(row.id);
  const end = performance.now() + timeoutMs;
  const isSystemd = new BundleDir(store.root, row.id).note()?.isSystemd === true;
  const left = (): number => Math.max(POLL_MS, end - performance.now());
  const steps: (() => Promise<Missing>)[] = [
    isSystemd
      ? () => bootMissing(store, row, left())
      : () => Promise.resolve(processMissing(store, row)),
    ...(health === null ? [] : [() => healthMissing(store, row, health, Math.min(TRY_MS, left()))]),
  ];
  for (const step of steps) {
    for (;;) {
      const missing = await step();
      if (missing === null) break;
      if (hasEnded(store, row)) throw endedEarly(store, row);
      if (performance.now() > end) throw await late(store, row, isSystemd, timeoutMs, missing);
      await sleep(POLL_MS);
    }
    if (hasEnded(store, row)) throw endedEarly(store, row);
  }
  return { failedUnits: isSystemd ? await unitsOf(store, row, FAILED) : [] };
}

const FAILED = ['list-units', '--failed'];
const JOBS = ['list-jobs'];

const hasEnded = (store: Store, row: EnvRow): boolean =>
  new BundleDir(store.root, row.id).firstProcess() === null;

/** A command runs when it is there beside the program that stands before it. */
function processMissing(store: Store, row: EnvRow): Missing {
  const first = new BundleDir(store.root, row.id).firstProcess();
  const commands = first === null ? [] : processesOf(first).map(({ command }) => command);
  const isInit = (command: string): boolean => command.startsWith(INIT_INSIDE);
  const waitsOnly = commands.length === 1 && commands[0] === `${INIT_INSIDE} -P`;
  return waitsOnly || commands.some((command) => !isInit(command) && !/\binit$/.test(command))
    ? null
    : 'its first process was not there';
}

/** Has systemd wait for its boot: before it can be asked, the question fails. */
async function bootMissing(store: Store, row: EnvRow, ms: number): Promise<Missing> {
  const words = ['timeout', (ms / 1000).toFixed(3), 'systemctl', 'is-system-running', '--wait'];
  const { stdout } = await inside(store, row, words, ms + TRY_MS);
  const state = stdout.toString().trim();
  if (state === 'running' || state === 'degraded') return null;
  return `systemd says "${state || 'nothing'}"`;
}

async function healthMissing(
  store: Store,
  row: EnvRow,
  command: string,
  ms: number,
): Promise<Missing> {
  const { code, how, stderr } = await inside(store, row, ['/bin/sh', '-c', command], ms);
  const said = stderr.toString().trim().split('\n').at(-1) ?? '';
  return code === 0 ? null : `its health command failed: ${how}${said === '' ? '' : `, ${said}`}`;
}

/** Runs a program in an env that may end meanwhile. */
async function inside(
  store: Store,
  row: EnvRow,
  words: readonly string[],
  timeoutMs: number,
): Promise<ProgramEnded> {
  const { command, dispose } = prepare(store, row, words);
  return runProgram(command, {
    outputMax: OUTPUT_MAX,
    ofMore: 'end',
    timeoutMs,
    ownSession: true,
  }).finally(dispose);
}

function prepare(store: Store, row: EnvRow, words: readonly string[]): PreparedCommand {
  try {
    return prepareExec(store, row, { words, terminal: null }).prepareCommand();
  } catch (error) {
    if (hasEnded(store, row)) throw endedEarly(store, row);
    throw error;
  }
}

async function unitsOf(store: Store, row: EnvRow, list: readonly string[]): Promise<string[]> {
  const words = ['systemctl', ...list, '--plain', '--no-legend', '--no-pager'];
  const { stdout } = await inside(store, row, words, TRY_MS);
  return stdout
    .toString()
    .split('\n')
    .flatMap((line) => /\S+[.][a-z]+\b/.exec(line)?.[0] ?? []);
}

function endedEarly(store: Store, row: EnvRow): ByrefError {
  const code = new BundleDir(store.root, row.id).ended()?.code;
  const how = code === undefined ? '' : ` with exit status ${code}`;
  return new ByrefError(
    'error',
    [`${row.name} has ended${how}`, ...lastLines(store, row)],
    `See: byref logs ${row.name}`,
  );
}

async function late(
  store: Store,
  row: EnvRow,
  isSystemd: boolean,
  ms: number,
  missing: string,
): Promise<ByrefError> {
  const message = `${row.name} is not ready after ${ms / 1000} s: ${missing}`;
  const hint = `It runs on. See: byref logs ${row.name}`;
  if (!isSystemd) return new ByrefError('error', [message, ...lastLines(store, row)], hint);
  const [failed, jobs] = [await unitsOf(store, row, FAILED), await unitsOf(store, row, JOBS)];
  const line = (what: string, units: readonly string[]): string[] =>
    units.length === 0 ? [] : [`  ${what}: ${units.join(', ')}`];
  return new ByrefError(
    'error',
    [message, ...line('failed', failed), ...line('not started yet', jobs)],
    hint,
  );
}

/** The end of what its first process said. */
function lastLines(store: Store, row: EnvRow): string[] {
  try {
    const text = readFileSync(consoleLog(store.root, row.id)).subarray(-LOG_PART).toString();
    return text
      .trimEnd()
      .split('\n')
      .slice(-LINES)
      .filter(Boolean)
      .map((line) => `  ${line}`);
  } catch {
    return [];
  }
}
