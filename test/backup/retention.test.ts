/** Which of an env's backups are kept, and what the next one builds on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  baseBeside,
  baseForNext,
  expired,
  newBackup,
  type StoredBackup,
  storedBackups,
} from '../../src/manager/backup/backup-dir.ts';

const DAY_MS = 86_400_000;
/** A Monday. */
const MONDAY = Date.parse('2026-11-30T02:30:00Z');

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'byref-retention-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function add(ms: number, base: StoredBackup | null): StoredBackup {
  const file = newBackup(directory, ms, base);
  writeFileSync(file, '');
  return storedBackups(directory).find((each) => each.file === file)!;
}

const names = (backups: readonly StoredBackup[]): string[] =>
  backups.map(({ file }) => path.basename(file));

test('names have the time, and that of the one below', () => {
  const whole = add(MONDAY, null);
  const next = add(MONDAY + DAY_MS, whole);
  // Another one of the same second.
  const third = add(MONDAY + DAY_MS, next);
  writeFileSync(path.join(directory, 'mine.backup'), '');
  expect(names(storedBackups(directory))).toEqual([
    '20261130T023000Z.backup',
    '20261201T023000Z.on-20261130T023000Z.backup',
    '20261201T023001Z.on-20261201T023000Z.backup',
  ]);
  expect(baseBeside(third.file)).toBe(next.file);
  expect(baseBeside(whole.file)).toBeNull();
  expect(baseBeside(path.join(directory, 'mine.backup'))).toBeNull();
});

test('a chain is of one week', () => {
  const whole = add(MONDAY, null);
  const next = add(MONDAY + 6 * DAY_MS, whole);
  const all = storedBackups(directory);
  expect(baseForNext(all, MONDAY + 6 * DAY_MS)).toEqual(next);
  expect(baseForNext(all, MONDAY + 7 * DAY_MS)).toBeNull();
  rmSync(whole.file);
  expect(baseForNext(storedBackups(directory), MONDAY + 6 * DAY_MS)).toBeNull();
});

test('the last of each day and week stays, and what it builds on', () => {
  const whole = add(MONDAY, null);
  const tuesday = add(MONDAY + DAY_MS, whole);
  add(MONDAY + DAY_MS + 1000, null);
  const wednesday = add(MONDAY + 2 * DAY_MS, tuesday);
  const all = storedBackups(directory);
  const removed = (daily: number, weekly: number): string[] =>
    names(expired(all, { daily, weekly }));
  expect(removed(2, 0)).toEqual([]);
  // Wednesday's builds on Tuesday's, and that on Monday's.
  expect(removed(1, 0)).toEqual(['20261201T023001Z.backup']);
  expect(removed(0, 1)).toEqual(['20261201T023001Z.backup']);
  rmSync(tuesday.file);
  // What the newest builds on is lost, so nobody can say what is needed.
  expect(expired(storedBackups(directory), { daily: 1, weekly: 0 })).toEqual([]);
  rmSync(wednesday.file);
  expect(names(expired(storedBackups(directory), { daily: 1, weekly: 0 }))).toEqual([
    '20261130T023000Z.backup',
  ]);
});

test('one that was made by a clock that was put back stays', () => {
  add(MONDAY + 7 * DAY_MS, null);
  const made = add(MONDAY, null);
  const all = storedBackups(directory);
  expect(names(expired(all, { daily: 1, weekly: 0 }))).toEqual(names([made]));
  expect(expired(all, { daily: 1, weekly: 0 }, made.file)).toEqual([]);
});

test('whatever the history, what is kept can be restored, and so can what is left when a removal is cut short', () => {
  const step = fc.record({ after: fc.integer({ min: 1000, max: 3 * DAY_MS }), on: fc.boolean() });
  const history = fc.array(step, { minLength: 1, maxLength: 30 });
  const counts = { daily: fc.nat(8), weekly: fc.nat(4) };
  const property = fc.property(history, fc.record(counts), (steps, retention) => {
    let ms = MONDAY;
    const all: StoredBackup[] = [];
    for (const { after, on } of steps) {
      ms += after;
      const base = on ? baseForNext(all, ms) : null;
      const time = new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
      all.push({ file: String(ms), madeMs: ms, time: `${time}Z`, base: base?.time ?? null });
    }
    const gone = expired(all, retention);
    for (let cut = 0; cut <= gone.length; cut++) {
      const left = all.filter((each) => !gone.slice(0, cut).includes(each));
      const times = new Set(left.map(({ time }) => time));
      for (const { base } of left) expect(base === null || times.has(base)).toBe(true);
      expect(left).toContain(all.at(-1));
    }
    const days = new Set(all.map(({ madeMs }) => Math.floor(madeMs / DAY_MS)));
    const kept = new Set(
      all.filter((each) => !gone.includes(each)).map(({ madeMs }) => Math.floor(madeMs / DAY_MS)),
    );
    for (const day of [...days].sort((a, b) => b - a).slice(0, retention.daily))
      expect(kept).toContain(day);
  });
  fc.assert(property);
});
