/**
 * Checks the rows of `inodes`: the template that a file belongs to, and all its names. They follow from link
 * records.
 */
import type { Ino, Name } from '../../../base/ids.ts';
import { decodeInodeNames, encodeInodeNames, type InodeNames } from '../../../codec/store-rows.ts';
import { inoKey } from '../../../store/keys.ts';
import { inoOfKey } from './dir-places.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job, UnnamedFile } from './job.ts';
import { eachRow, readRow } from './rows.ts';

interface Place {
  readonly dir: Ino;
  readonly name: Name;
}

/** Checks the rows. Runs after checkLinks, which finds names that rows lack. */
export function* checkInodes(job: Job): Generator<Found> {
  for (const [ino, unnamed] of job.unnamed) yield missingNames(job, ino, unnamed);
  const unread: Ino[] = [];
  const rows = eachRow(job.tables, 'inodes', decodeInodeNames, ({ key }) =>
    unread.push(inoOfKey(key)),
  );
  for (const { key, value } of rows) {
    const ino = inoOfKey(key);
    if (!job.unnamed.has(ino)) yield* checkRow(job, ino, value);
    if (job.dirPlaces.has(ino)) {
      const what = 'it is the number of a file and of a directory';
      yield damage('inodes.names', `inode ${ino}`, what, FROM_BACKUP);
    }
  }
  for (const ino of unread) {
    if (job.unnamed.has(ino)) continue;
    // It may belong to a file whose link row can't be read either.
    if (job.unreadable.size === 0) yield removal(job, ino);
    else yield damage('inodes.row', `inode ${ino}`, "its row can't be read", FROM_BACKUP);
  }
}

/** Returns the finding for names in link records that the inode's row lacks, or whose row can't be read. */
function missingNames(job: Job, ino: Ino, { template, names, disputed }: UnnamedFile): Found {
  const first = names[0]!;
  const where = job.linkPlace(template, first.dir, first.name);
  const row = readRow(job.tables, 'inodes', inoKey(ino), decodeInodeNames);
  const isOthers = row ? row.template !== template && isRight(job, ino, row) : false;
  if (disputed || isOthers) {
    const what = `another template has a file of its number ${ino}, too`;
    return damage('links.ino', where, what, FROM_BACKUP);
  }
  const rows = () =>
    put(job, ino, { template, names: [...goodNames(job, ino, template), ...names] });
  const check = row === null ? 'inodes.row' : 'inodes.missing';
  const more = names.length > 1 ? ` and ${names.length - 1} more of its names` : '';
  const what =
    row === null
      ? `the row of its inode ${ino} can't be read`
      : `inodes does not lead from its number ${ino} to it${more}`;
  return damage(check, where, what, BY_REPAIR, { rows });
}

/** Returns true if the template in the row has the file under one of its names. */
const isRight = (job: Job, ino: Ino, { template, names }: InodeNames): boolean =>
  names.some((place) => hasFile(job, template, place, ino) !== false);

function put(job: Job, ino: Ino, row: InodeNames): void {
  job.tables.table('inodes').putSync(inoKey(ino), encodeInodeNames(row));
}

/** Returns the names in the row, without those under which the template certainly never had the file. */
function goodNames(job: Job, ino: Ino, template: number): Place[] {
  const row = readRow(job.tables, 'inodes', inoKey(ino), decodeInodeNames);
  if (!row || row.template !== template) return [];
  return row.names.filter((place) => hasFile(job, template, place, ino) !== false);
}

/** Returns whether the template has the file under this name in some version; null if that can't be read. */
function hasFile(job: Job, template: number, { dir, name }: Place, ino: Ino): boolean | null {
  const history = job.history(template, dir, name);
  if (history === null) return null;
  return history?.some(({ record }) => record?.ino === ino) ?? false;
}

function* checkRow(job: Job, ino: Ino, { template, names }: InodeNames): Generator<Found> {
  const wrong = names.filter((place) => hasFile(job, template, place, ino) === false);
  if (wrong.length === 0 && names.length > 0) return;
  if (wrong.length === names.length) {
    yield removal(job, ino);
    return;
  }
  const first = wrong[0]!;
  const where = job.linkPlace(template, first.dir, first.name);
  const what = `inodes leads from number ${ino} to it, and it never was that file`;
  const rows = () => put(job, ino, { template, names: goodNames(job, ino, template) });
  yield damage('inodes.names', where, what, BY_REPAIR, { rows });
}

/** Returns the finding for a row whose number no link record has. */
function removal(job: Job, ino: Ino): Found {
  const what = 'inodes has a row for it, and no template has such a file';
  const rows = () => void job.tables.table('inodes').removeSync(inoKey(ino));
  return damage('inodes.names', `inode ${ino}`, what, BY_REPAIR, { rows });
}
