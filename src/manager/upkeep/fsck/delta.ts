/** Checks each env's own changes: its link table, journal and private files, whether it is mounted or not. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf } from '../../../base/damaged.ts';
import type { Ino } from '../../../base/ids.ts';
import { tableDamage } from '../../../base/lmdb-check.ts';
import { decodeEnv, type EnvRow } from '../../../codec/store-rows.ts';
import { closedProperly } from '../../../driver/delta/env-lock.ts';
import { LINK_DIR } from '../../../driver/delta/layout.ts';
import { type DeltaView, readDelta } from '../../../driver/delta/read-delta.ts';
import { idKey } from '../../../store/keys.ts';
import { envDir } from '../../../store/store.ts';
import { envState } from '../../envs/state.ts';
import { checkInodes, checkNames, checkNext } from './delta-checks.ts';
import { checkDirs } from './delta-dirs.ts';
import { checkData, checkExtra, checkMerges } from './delta-files.ts';
import { BY_REPAIR_UNMOUNTED, type DeltaFound, deltaDamage, restoreEnv } from './delta-finding.ts';
import { type CheckedEnv, DeltaJob, envName } from './delta-job.ts';
import { acceptLoss, checkLost } from './delta-lost.ts';
import { asFinding, inBoth, repairDelta } from './delta-repair.ts';
import { EnvDependencies } from './env-dependencies.ts';
import { envDirectories } from './env-directories.ts';
import { checkPackages } from './env-packages.ts';
import type { Finding } from './finding.ts';
import type { Job } from './job.ts';
import { readRow } from './rows.ts';

/** The time between two looks at something that may only have been in progress. */
const SECOND_LOOK_MS = 20;

/** Checks all deltas. Runs after all checks of the store, which learn what names of templates are. */
export async function* checkDeltas(job: Job): AsyncGenerator<Finding> {
  const dependencies = job.options.packages ? new EnvDependencies(job) : null;
  for (const id of envDirectories(job.root)) {
    const row = readRow(job.tables, 'envs', idKey(id), decodeEnv);
    // A directory without a row is a leftover, and found elsewhere.
    if (row === undefined) continue;
    job.checked.deltas++;
    job.options.progress({ phase: 'envs', files: job.checked.deltaInodes, bytes: 0 });
    yield* checkEnv(job, id, row);
    if (row !== null && dependencies !== null) yield* await dependencies.check(row);
  }
}

async function* checkEnv(job: Job, id: number, row: EnvRow | null): AsyncGenerator<Finding> {
  const look = async (): Promise<DeltaFound[]> =>
    (await lookAt(job, await envNow(job, id, row))).found;
  yield* checkLost(job, id, row);
  const first = await lookAt(job, await envNow(job, id, row));
  job.checked.deltaNames += first.names;
  job.checked.deltaInodes += first.inodes;
  if (!first.whole) job.unreadDeltas++;
  let { found } = first;
  if (found.length === 0) return;
  // A file can appear or vanish between the reading of the delta and of private/: only what is found twice counts.
  await sleep(SECOND_LOOK_MS);
  found = inBoth(found, await look());
  if (job.options.repair && job.options.acceptLoss) {
    const accepted = await acceptLoss(job, await envNow(job, id, row), found);
    yield* accepted;
    if (accepted.length > 0) found = await look();
  }
  if (!job.options.repair) yield* found.map((finding) => asFinding(finding, false));
  else yield* await repairDelta(job, await envNow(job, id, row), found, look);
}

async function envNow(job: Job, id: number, row: EnvRow | null): Promise<CheckedEnv> {
  const directory = envDir(job.root, id);
  return { id, row, directory, served: row === null || (await isServed(job, row)) };
}

async function isServed(job: Job, row: EnvRow): Promise<boolean> {
  try {
    return (await envState(job.store, row)).state !== 'stopped';
  } catch {
    return true;
  }
}

/** The outcome of one look at an env's delta. */
interface Look {
  readonly found: DeltaFound[];
  readonly names: number;
  readonly inodes: number;
  /** False if the delta may have more names and inodes. */
  readonly whole: boolean;
}

const unreadable = (...found: DeltaFound[]): Look => ({ found, names: 0, inodes: 0, whole: false });

async function lookAt(job: Job, env: CheckedEnv): Promise<Look> {
  // The env was destroyed meanwhile.
  if (!existsSync(env.directory)) return { found: [], names: 0, inodes: 0, whole: true };
  const file = path.join(env.directory, LINK_DIR, 'data.mdb');
  const pages = existsSync(file) ? tableDamage(path.dirname(file), true) : null;
  const remedy = restoreEnv(env.directory);
  if (pages !== null) {
    const where = `${envName(env)}: ${file}`;
    const what = `it can't be read: ${pages}`;
    return unreadable(deltaDamage('delta.pages', where, what, remedy, { blocks: true }));
  }
  let view: DeltaView;
  try {
    view = await readDelta(env.directory);
  } catch (error) {
    const what = `its changes can't be read: ${reasonOf(error)}`;
    return unreadable(deltaDamage('delta.table', envName(env), what, remedy, { blocks: true }));
  }
  try {
    const checked = new DeltaJob(job, env, view);
    const { names, inodes } = checked.scan;
    const found = [...checkView(checked, view), ...checkPackages(checked, env, view)];
    return { found, names, inodes: inodes.size, whole: isWhole(checked, view) };
  } finally {
    await view.close();
  }
}

/** Returns true if every row that matters was read. */
const isWhole = (env: DeltaJob, view: DeltaView): boolean =>
  view.damage === null && env.scan.damaged.every(({ table }) => table === 'marks');

function* checkView(env: DeltaJob, view: DeltaView): Generator<DeltaFound> {
  yield* checkRows(env);
  if (view.damage !== null) {
    const remedy = `the env can be read up to there: mount it, copy what is needed, then ${env.restore}; or go on from there: byref fsck --accept-loss`;
    yield deltaDamage('delta.journal', env.where(''), view.damage, remedy, { blocks: true });
  }
  if (view.isEmpty && env.privateFiles.size > 0 && closedProperly(env.directory)) {
    const what = `its link table is gone, and ${env.privateFiles.size} private files are there`;
    yield deltaDamage('delta.table', env.where(''), what, env.restore, { blocks: true });
    return;
  }
  yield* checkNames(env);
  yield* checkInodes(env);
  yield* checkDirs(env);
  yield* checkNext(env);
  // If a part of the journal is lost, it is unknown which files it named.
  if (view.damage === null) yield* checkData(env, view);
  yield* checkMerges(env);
  if (isWhole(env, view)) yield* checkExtra(env, view);
}

/** Reports rows of the link table that can't be read, or that byref did not write like that. */
function* checkRows(env: DeltaJob): Generator<DeltaFound> {
  for (const { table, key, why } of env.scan.damaged) {
    if (table === 'marks') yield wrongMark(env, Number(key.readBigUInt64BE(0)) as Ino, why);
    else {
      const what = `a row of ${table} is damaged (${why})`;
      const where = env.where(`key ${key.toString('hex')}`);
      yield deltaDamage('delta.row', where, what, env.restore, { blocks: true });
    }
  }
}

function wrongMark(env: DeltaJob, ino: Ino, why: string): DeltaFound {
  const what = `the mark of inode ${ino} is wrong: ${why}`;
  return deltaDamage('delta.marks', env.where(env.pathOf(ino)), what, BY_REPAIR_UNMOUNTED, {
    // A mark is written together with its inode's record.
    change(delta, change) {
      const record = delta.inode(ino);
      if (record === null) change.clearInode(ino);
      else change.setInode(record);
    },
  });
}
