/** Finds files below objects/ without a row, and rows that are not needed. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../../../base/ids.ts';
import { objectKey } from '../../../store/keys.ts';
import { isStoring } from '../../../store/object-lock.ts';
import { DIRECTORY_MODE } from '../../../store/objects.ts';
import { hasWriter } from '../../../store/writer-lock.ts';
import { objectSize } from '../objects/object-file.ts';
import { type Found, leftover, REMOVED_BY_REPAIR } from './finding.ts';
import type { Job } from './job.ts';
import { rowlessObject } from './objects.ts';
import { hasRow } from './rows.ts';

const FAN_OUT = /^[0-9a-f]{2}$/;
const REST = /^[0-9a-f]{62}$/;
const NOT_YET = 'byref fsck --repair removes it once nothing is unreadable that may name it';

/** Finds leftover objects. Runs after the checks of deltas, whose records may name objects that no version names. */
export function* checkObjectFiles(job: Job): Generator<Found> {
  // An import that is under way has files without a row; a repair keeps imports out.
  const isWriting =
    !job.options.repair && (hasWriter(job.root) || isStoring(job.store.objects.dir));
  yield* checkDeltaObjects(job);
  yield* checkUnused(job);
  yield* checkDamaged(job);
  if (isWriting) return;
  yield* checkUnfinished(job);
  for (const directory of list(job.store.objects.dir)) {
    if (!FAN_OUT.test(directory)) continue;
    for (const name of list(path.join(job.store.objects.dir, directory))) {
      yield* checkObjectFile(job, directory, name);
    }
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/** Checks that objects which only envs name have a row: without one, the next sweep would remove the file. */
function* checkDeltaObjects(job: Job): Generator<Found> {
  for (const id of job.deltaObjects) {
    if (job.references.has(id) || hasRow(job.tables, 'objects', objectKey(id))) continue;
    // A missing file is reported with the env.
    if (objectSize(job.store.objects, id) < 0) continue;
    yield* rowlessObject(job, id, "an env's delta names it, and it has no row", undefined, []);
  }
}

function* checkUnused(job: Job): Generator<Found> {
  for (const id of job.unusedMissing) {
    if (job.deltaObjects.has(id) || job.unreadDeltas > 0 || job.unreadable.size > 0) continue;
    const rows = () => void job.tables.table('objects').removeSync(objectKey(id));
    const what = 'it has a row and no file, and nothing names it';
    yield leftover('objects.missing', `object ${id}`, what, REMOVED_BY_REPAIR, { rows });
  }
}

function* checkUnfinished(job: Job): Generator<Found> {
  const directory = job.store.objects.unfinishedDir;
  const count = list(directory).length;
  if (count === 0) return;
  const files = (): void => {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: DIRECTORY_MODE });
  };
  const what = `${count} files of an import or a removal that was cut short`;
  yield leftover('objects.unfinished', directory, what, REMOVED_BY_REPAIR, { files });
}

/** Finds objects that were moved aside and whose right bytes are back, so that they are no longer of interest. */
function* checkDamaged(job: Job): Generator<Found> {
  for (const name of list(job.store.objects.damagedDir)) {
    if (!FAN_OUT.test(name.slice(0, 2)) || !REST.test(name.slice(2))) continue;
    const id = name as ObjectId;
    const isNeeded = hasRow(job.tables, 'objects', objectKey(id));
    if (isNeeded && objectSize(job.store.objects, id) < 0) continue;
    const where = path.join(job.store.objects.damagedDir, name);
    const what = isNeeded ? 'a damaged object that is back' : 'a damaged object that nobody needs';
    const files = () => rmSync(where, { recursive: true, force: true });
    yield leftover('objects.damaged', where, what, REMOVED_BY_REPAIR, { files });
  }
}

function* checkObjectFile(job: Job, directory: string, name: string): Generator<Found> {
  const where = path.join(job.store.objects.dir, directory, name);
  if (!REST.test(name)) {
    yield leftover('objects.extra', where, 'it is no object', 'move it to where it belongs');
    return;
  }
  const id = (directory + name) as ObjectId;
  if (hasRow(job.tables, 'objects', objectKey(id))) return;
  if (job.references.has(id) || job.deltaObjects.has(id)) return;
  const isSure = job.unreadable.size === 0 && job.unreadDeltas === 0;
  const files = () => rmSync(where, { recursive: true, force: true });
  const remedy = isSure ? REMOVED_BY_REPAIR : NOT_YET;
  const what = 'an object that has no row, and that nothing names';
  yield leftover('objects.extra', where, what, remedy, isSure ? { files } : {});
}
