/**
 * The directory of `byref backup --all DIR`, and which backups in it are kept. Each env has a directory of its name there; a backup is
 * called by the time at which it was begun, in UTC, and one that builds on another by the time of that, too:
 *
 *     DIR/web1/20261201T023000Z.backup
 *     DIR/web1/20261202T023000Z.on-20261201T023000Z.backup
 *
 * A file of another name is nobody's business here: it is neither built on nor removed.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

const NAME = /^(\d{8}T\d{6}Z)(?:\.on-(\d{8}T\d{6}Z))?\.backup$/;
/** What a command that was killed left: base/given-files.ts. */
const PARTIAL = /^\d{8}T\d{6}Z(?:\.on-\d{8}T\d{6}Z)?\.backup\.partial$/;
const SECOND_MS = 1000;
const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;
/** The first day of Unix time was a Thursday; weeks begin on Mondays. */
const THURSDAY = 3;

/** One backup of an env. */
export interface StoredBackup {
  readonly file: string;
  readonly madeMs: number;
  /** Its time as its name has it. */
  readonly time: string;
  /** The time of the one that it builds on; null: it has all. */
  readonly base: string | null;
}

/** How many backups are kept: of each of so many days, and weeks, in which there is one, the last. */
export interface Retention {
  readonly daily: number;
  readonly weekly: number;
}

/** Returns the backups in an env's directory, oldest first. */
export function storedBackups(directory: string): StoredBackup[] {
  const found = readdirSync(directory).flatMap((name) => {
    const [, time, base = null] = NAME.exec(name) ?? [];
    const madeMs = time === undefined ? Number.NaN : msOf(time);
    if (time === undefined || Number.isNaN(madeMs)) return [];
    return [{ file: path.join(directory, name), madeMs, time, base }];
  });
  return found.sort((a, b) => a.madeMs - b.madeMs);
}

/** Returns the path of a new backup, of a second at which there is none yet. */
export function newBackup(directory: string, nowMs: number, base: StoredBackup | null): string {
  const taken = new Set(storedBackups(directory).map(({ time }) => time));
  let ms = nowMs;
  while (taken.has(timeOf(ms))) ms += SECOND_MS;
  const on = base === null ? '' : `.on-${base.time}`;
  return path.join(directory, `${timeOf(ms)}${on}.backup`);
}

/** Removes parts of backups whose command was killed. The caller is the only one that writes here. */
export function removePartial(directory: string): void {
  for (const name of readdirSync(directory))
    if (PARTIAL.test(name)) rmSync(path.join(directory, name), { force: true });
}

/**
 * Returns the backup that the next one is to build on: the newest, if the whole one below it is of this week; else null. So a chain is of one
 * week at most.
 */
export function baseForNext(backups: readonly StoredBackup[], nowMs: number): StoredBackup | null {
  const newest = backups.at(-1);
  const whole = newest && chainOf(backups, newest)?.at(-1);
  if (newest === undefined || whole === undefined) return null;
  return weekOf(whole.madeMs) === weekOf(nowMs) ? newest : null;
}

/** Returns a backup and those that it builds on, the whole one last; null if one of them is not there. */
function chainOf(backups: readonly StoredBackup[], from: StoredBackup): StoredBackup[] | null {
  const chain = [from];
  for (let { base } = from; base !== null; ) {
    const next = backups.find(({ time }) => time === base);
    // One that builds on itself was not made by byref.
    if (next === undefined || chain.includes(next)) return null;
    chain.push(next);
    base = next.base;
  }
  return chain;
}

/**
 * Returns what need not be kept, in the order in which it can be removed: what builds on another before that. The newest is kept in any
 * case, and all that a kept one builds on.
 * @param made the file that was made last: by a clock that was put back, it is not the newest
 */
export function expired(
  backups: readonly StoredBackup[],
  { daily, weekly }: Retention,
  made?: string,
): StoredBackup[] {
  const kept = new Set(backups.filter(({ file }, i) => file === made || i === backups.length - 1));
  keepLast(backups, daily, dayOf, kept);
  keepLast(backups, weekly, weekOf, kept);
  for (const each of [...kept]) {
    const chain = chainOf(backups, each);
    // What it builds on is not to be made out, so nothing goes.
    if (chain === null) return [];
    for (const below of chain) kept.add(below);
  }
  return backups.filter((each) => !kept.has(each)).reverse();
}

/** Keeps the newest backup of each of the last periods that have one. */
function keepLast(
  backups: readonly StoredBackup[],
  count: number,
  periodOf: (ms: number) => number,
  kept: Set<StoredBackup>,
): void {
  const newest = new Map(backups.map((each) => [periodOf(each.madeMs), each]));
  const periods = [...newest.keys()].sort((a, b) => b - a).slice(0, count);
  for (const period of periods) kept.add(newest.get(period)!);
}

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS);
const weekOf = (ms: number): number => Math.floor((dayOf(ms) + THURSDAY) / WEEK_DAYS);

/** Writes a time as names have it: 20261201T023000Z. */
const timeOf = (ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;

const msOf = (time: string): number =>
  Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));

/** Returns the backup beside one that it builds on, by its name; null if it is not there, or not called so. */
export function baseBeside(file: string): string | null {
  const [, , base] = NAME.exec(path.basename(file)) ?? [];
  if (base === undefined) return null;
  const directory = path.dirname(file);
  const found = existsSync(directory)
    ? storedBackups(directory).find(({ time }) => time === base)
    : undefined;
  return found?.file ?? null;
}
