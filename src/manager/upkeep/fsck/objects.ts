/** Checks objects: each row's count of references, and the file that it describes. */
import { chmodSync, chownSync } from 'node:fs';
import type { ObjectId } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import { decodeObject, encodeObject, type ObjectRow } from '../../../codec/store-rows.ts';
import { objectKey } from '../../../store/keys.ts';
import { OBJECT_MODE } from '../../../store/object-job.ts';
import { hasItsBytes, objectSize, statObject } from '../objects/object-file.ts';
import { brokenObjects } from './broken-objects.ts';
import { type BrokenObject, BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { type ObjectUse, usesOf } from './object-uses.ts';
import { eachRow, hasRow } from './rows.ts';

const PERMISSIONS = 0o7777;
const REPORT_EVERY = 1024;

/** Checks all rows of objects. Runs after checkLinks, which counts references. */
export function* checkObjects(job: Job): Generator<Found> {
  const unread: ObjectId[] = [];
  const broken: BrokenObject[] = [];
  const rows = eachRow(job.tables, 'objects', decodeObject, ({ key }) => unread.push(idOf(key)));
  for (const { key, value } of rows) {
    const id = idOf(key);
    job.checked.objects++;
    if (job.checked.objects % REPORT_EVERY === 0) {
      job.options.progress({ phase: 'objects', files: job.checked.objects, bytes: 0 });
    }
    yield* checkRefs(job, id, value);
    yield* checkFile(job, id, value, broken);
  }
  yield* checkRowless(job, unread, broken);
  yield* brokenObjects(job, broken);
}

const idOf = (key: Buffer): ObjectId => key.toString('hex') as ObjectId;

function* checkRefs(job: Job, id: ObjectId, row: ObjectRow): Generator<Found> {
  const count = job.references.get(id) ?? 0;
  if (row.refs === count) return;
  // Unreadable link rows may name it, too; a count that is too high only keeps the object.
  if (row.refs > count && job.unreadable.size > 0) return;
  const what = `its row counts ${row.refs} link records that name it, and there are ${count}`;
  const rows = () =>
    job.tables.table('objects').putSync(objectKey(id), encodeObject({ ...row, refs: count }));
  yield damage('objects.refs', `object ${id}`, what, BY_REPAIR, { rows });
}

/** Checks objects without a readable row. */
function* checkRowless(
  job: Job,
  unread: readonly ObjectId[],
  broken: BrokenObject[],
): Generator<Found> {
  const rowless = new Map(unread.map((id) => [id, "its row can't be read"]));
  for (const [id, count] of job.references) {
    if (hasRow(job.tables, 'objects', objectKey(id))) continue;
    rowless.set(id, `${count} link records name it, and it has no row`);
  }
  if (rowless.size === 0) return;
  const uses = usesOf(job, new Set(rowless.keys()));
  for (const [id, what] of rowless) yield* rowlessObject(job, id, what, uses.get(id)?.[0], broken);
}

/** Restores an object's row: from its file, if that has the right bytes; else from a link record. */
export function* rowlessObject(
  job: Job,
  id: ObjectId,
  what: string,
  use: ObjectUse | undefined,
  broken: BrokenObject[],
): Generator<Found> {
  const { objects } = job.store;
  const size = objectSize(objects, id);
  // Its bytes are read only for a repair: it may be large, and this check reads no other content.
  const isRight = size >= 0 && (!job.options.repair || hasItsBytes(objects, id));
  if (size < 0) {
    broken.push({ id, check: 'objects.missing', what: 'its file is missing', file: false });
  } else if (!isRight) {
    broken.push({ id, check: 'objects.content', what: 'its file has other bytes', file: true });
  }
  const row = isRight ? objects.measure(id) : use;
  const where = `object ${id}`;
  if (row === undefined) {
    yield damage('objects.row', where, what, FROM_BACKUP);
    return;
  }
  const refs = job.references.get(id) ?? 0;
  const value = { size: row.size, blocks: row.blocks, refs };
  const rows = () => job.tables.table('objects').putSync(objectKey(id), encodeObject(value));
  yield damage('objects.row', where, what, BY_REPAIR, { rows });
}

function* checkFile(
  job: Job,
  id: ObjectId,
  row: ObjectRow,
  broken: BrokenObject[],
): Generator<Found> {
  const { objects } = job.store;
  const stat = statObject(objects, id);
  if (stat === null) {
    // An object that no version names may be an env's, which is known after the deltas were read.
    if ((job.references.get(id) ?? 0) === 0 && row.refs === 0) job.unusedMissing.push(id);
    else broken.push({ id, check: 'objects.missing', what: 'its file is missing', file: false });
    return;
  }
  if (!isReg(stat.mode)) {
    broken.push({ id, check: 'objects.type', what: 'it is no regular file', file: true });
    return;
  }
  if (stat.size !== row.size) {
    const what = `its file has ${stat.size} bytes, not ${row.size}`;
    // Either the row or the file is wrong; reading the file tells which.
    if (hasItsBytes(objects, id)) {
      yield* rowlessObject(job, id, `${what}, and they are the right ones`, undefined, broken);
    } else broken.push({ id, check: 'objects.size', what, file: true });
    return;
  }
  const mode = stat.mode & PERMISSIONS;
  if (mode === OBJECT_MODE && stat.uid === 0) return;
  const file = objects.path(id);
  const what = `its mode is ${mode.toString(8)} and its owner ${stat.uid}, not 400 and root`;
  const files = (): void => {
    chownSync(file, 0, 0);
    chmodSync(file, OBJECT_MODE);
  };
  yield damage('objects.mode', `object ${id}`, what, BY_REPAIR, { files });
}
