/** Checks the numbers in `meta`: a counter must never give out a number again. */
import { PRIVATE_INO_BASE } from '../../../base/ids.ts';
import { decodeEnv, decodeNumber } from '../../../codec/store-rows.ts';
import { textKey } from '../../../store/keys.ts';
import { UNFINISHED_COUNT } from '../../../store/patch-rows.ts';
import { type Counter, FIRST, type TableName } from '../../../store/tables.ts';
import { envDirectories } from './env-directories.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { eachKey, eachRow, isKey, readRow } from './rows.ts';

/** Checks the counters. Runs after all checks that meet numbers. */
export function* checkCounters(job: Job): Generator<Found> {
  const { highestPatch, highestShard } = ofEnvs(job);
  const used: Record<Counter, number> = {
    nextIno: job.highestIno,
    nextTemplate: Math.max(...(['templates', 'versions', 'links'] as const).map(highestId(job))),
    nextEnv: Math.max(highestId(job)('envs'), ...envDirectories(job.root)),
    nextPatch: Math.max(highestId(job)('patches'), highestPatch),
  };
  for (const counter of Object.keys(FIRST) as Counter[]) {
    yield* checkCounter(job, counter, used[counter]);
  }
  yield* checkShards(job, highestShard);
}

function* checkCounter(job: Job, counter: Counter, used: number): Generator<Found> {
  const row = readRow(job.tables, 'meta', textKey(counter), decodeNumber);
  const least = Math.max(FIRST[counter], used + 1);
  const rows = () => job.tables.setNumber(counter, least);
  if (row === null) {
    yield damage('counters.row', `counter ${counter}`, "its row can't be read", BY_REPAIR, {
      rows,
    });
    return;
  }
  const next = row ?? FIRST[counter];
  if (next < least) {
    const what = `it gives out ${next} next, and ${used} is in use`;
    yield damage('counters.next', `counter ${counter}`, what, BY_REPAIR, { rows });
  } else if (counter === 'nextIno' && next > PRIVATE_INO_BASE) {
    const what = `it gives out ${next} next, and from ${PRIVATE_INO_BASE} on numbers are envs' own`;
    yield damage('counters.next', `counter ${counter}`, what, FROM_BACKUP);
  }
}

function* checkShards(job: Job, highestShard: number): Generator<Found> {
  const shards = readRow(job.tables, 'meta', textKey('shards'), decodeNumber);
  if (shards === undefined || (shards !== null && shards > 0)) return;
  const what = shards === null ? "its row can't be read" : 'it is 0';
  const rows = () => job.tables.setNumber('shards', Math.max(1, highestShard + 1));
  yield damage('counters.row', 'the number of shards', what, BY_REPAIR, { rows });
}

const READ_HERE: ReadonlySet<string> = new Set([...Object.keys(FIRST), 'shards', UNFINISHED_COUNT]);

/** Returns true for a number in `meta` that has a check of its own, here or in patches.ts. */
export const isCounter = (name: string): boolean => READ_HERE.has(name);

/** Returns the first four bytes of a table's last key as a number: 0 for an empty table. */
const highestId =
  ({ tables }: Job) =>
  (name: TableName): number => {
    for (const key of eachKey(tables, name, { reverse: true })) {
      if (isKey(name, key)) return key.readUInt32BE(0);
    }
    return 0;
  };

function ofEnvs({ tables }: Job): { highestPatch: number; highestShard: number } {
  let highestPatch = 0;
  let highestShard = 0;
  for (const { value } of eachRow(tables, 'envs', decodeEnv)) {
    highestShard = Math.max(highestShard, value.shard);
    for (const { canary } of value.stack) {
      highestPatch = Math.max(highestPatch, canary?.patch ?? 0);
    }
  }
  return { highestPatch, highestShard };
}
