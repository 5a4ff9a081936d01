/**
 * Checks each record of a link row: it describes a directory of the dictionary, or a file whose bytes are in an
 * object.
 */
import { isPrivateIno, ROOT_INO } from '../../../base/ids.ts';
import { isDir, isLnk, isReg } from '../../../base/mode.ts';
import {
  DATA_NONE,
  DATA_OBJECT,
  DATA_SYMLINK,
  type InodeRecord,
} from '../../../codec/inode-record.ts';
import { encodeHistory } from '../../../codec/link-history.ts';
import { decodeInodeNames, decodeObject } from '../../../codec/store-rows.ts';
import { inoKey, linkKey, objectKey } from '../../../store/keys.ts';
import { objectSize } from '../objects/object-file.ts';
import { placeKey } from './dir-places.ts';
import { BY_REPAIR, type CheckName, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { cookieOf, type LinkRow, readHistory } from './link-scan.ts';
import { readRow } from './rows.ts';

/** Checks all records of one row. */
export function* checkRecords(job: Job, row: LinkRow): Generator<Found> {
  for (const { version, record } of row.changes) {
    if (record === null) continue;
    if (record.object !== '') {
      job.references.set(record.object, (job.references.get(record.object) ?? 0) + 1);
    }
    if (isDir(record.mode)) yield* checkDir(job, row, version, record);
    else yield* checkFile(job, row, version, record);
  }
}

/** Returns the finding for one record; `fields` are its corrections, if there are any. */
function found(
  job: Job,
  { template, dir, name }: LinkRow,
  version: number,
  check: CheckName,
  what: string,
  fields: Partial<InodeRecord> | null = null,
): Found {
  const where = job.linkPlace(template, dir, name);
  const said = `in version ${version} ${what}`;
  if (fields === null) return damage(check, where, said, FROM_BACKUP);
  const rows = () => rewrite(job, { template, dir, name }, version, fields);
  return damage(check, where, said, BY_REPAIR, { rows });
}

function* checkDir(job: Job, row: LinkRow, version: number, record: InodeRecord): Generator<Found> {
  const { dir, name } = row;
  const ino = job.dirInos.get(placeKey({ parent: dir, name }));
  if (ino !== undefined && ino !== record.ino) {
    const what = `its number is ${record.ino}, and the dictionary's ${ino}`;
    yield found(job, row, version, 'links.ino', what, { ino });
  }
  // The root's record does not give a place.
  const parent = name === '' ? 0 : dir;
  if (record.parent !== parent || record.name !== name) {
    const what = `its record says that it is ${job.paths.place(record.parent, record.name)}`;
    yield found(job, row, version, 'links.record', what, { parent, name });
  }
  if (record.data !== DATA_NONE || record.object !== '') {
    yield found(job, row, version, 'links.record', 'it has data');
  }
}

function* checkFile(
  job: Job,
  row: LinkRow,
  version: number,
  record: InodeRecord,
): Generator<Found> {
  const { ino } = record;
  if (ino <= ROOT_INO || isPrivateIno(ino) || row.name === '') {
    const what = `it is a file of number ${ino}, which can't be one's`;
    yield found(job, row, version, 'links.ino', what);
    return;
  }
  job.highestIno = Math.max(job.highestIno, ino);
  noteName(job, row, record);
  const wrong = wrongData(record);
  if (wrong !== null) yield found(job, row, version, 'links.record', wrong);
  yield* checkSize(job, row, version, record);
}

function* checkSize(
  job: Job,
  row: LinkRow,
  version: number,
  { object, size }: InodeRecord,
): Generator<Found> {
  if (object === '') return;
  const stored = readRow(job.tables, 'objects', objectKey(object), decodeObject);
  if (!stored || stored.size === size) return;
  const there = objectSize(job.store.objects, object);
  // In that case the object's row is wrong, which is a finding of its own.
  if (there === size) return;
  const what = `its size is ${size}, and its object's ${stored.size}`;
  // If the object's row and file agree, the record is wrong.
  const fields = there === stored.size ? { size: stored.size } : null;
  yield found(job, row, version, 'links.size', what, fields);
}

function wrongData({ mode, data, object, target, size }: InodeRecord): string | null {
  if (isLnk(mode)) {
    return data === DATA_SYMLINK && target !== '' ? null : 'it is a symlink without a target';
  }
  if ((data === DATA_OBJECT) !== (object !== '')) return 'its kind of data and its object disagree';
  if (data === DATA_OBJECT) return isReg(mode) ? null : 'it has bytes, and is no regular file';
  if (data !== DATA_NONE) return 'its bytes are where a template has none';
  return isReg(mode) && size > 0 ? 'it has a size, and no object' : null;
}

/** Remembers a name that the row of its inode lacks. */
function noteName(job: Job, { template, dir, name }: LinkRow, { ino }: InodeRecord): void {
  if (name === '' || dir === 0) return;
  const names = readRow(job.tables, 'inodes', inoKey(ino), decodeInodeNames);
  const known = names?.names.some((place) => place.dir === dir && place.name === name) ?? false;
  if (known && names?.template === template) return;
  const unnamed = job.unnamed.get(ino) ?? { template, names: [], disputed: false };
  if (unnamed.template !== template) unnamed.disputed = true;
  else unnamed.names.push({ dir, name });
  job.unnamed.set(ino, unnamed);
}

/** Changes fields of the name's record in this version. Call it inside a transaction. */
export function rewrite(
  { tables }: Job,
  { template, dir, name }: Pick<LinkRow, 'template' | 'dir' | 'name'>,
  version: number,
  fields: Partial<InodeRecord>,
): void {
  const changes = readHistory(tables, template, dir, name);
  if (!changes) return;
  const changed = changes.map((change) =>
    change.version === version && change.record !== null
      ? { version, record: { ...change.record, ...fields } }
      : change,
  );
  tables
    .table('links')
    .putSync(linkKey(template, dir, cookieOf(name), name), encodeHistory(changed));
}
