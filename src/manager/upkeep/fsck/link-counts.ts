/** Checks, with --full, the link counts of templates' files and directories in each version. */
import type { Ino } from '../../../base/ids.ts';
import { isDir } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import { DIRECTORY_LINKS } from '../../../codec/inode-record.ts';
import { decodeInodeNames } from '../../../codec/store-rows.ts';
import { linkKey } from '../../../store/keys.ts';
import type { TemplateFacts } from './catalog-facts.ts';
import { inoOfKey } from './dir-places.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { rewrite } from './link-records.ts';
import { decodeLink, eachLink, type LinkRow } from './link-scan.ts';
import { eachRow } from './rows.ts';
import { VersionSums } from './version-sums.ts';

/** Checks all link counts. */
export function* checkLinkCounts(job: Job): Generator<Found> {
  job.options.progress({ phase: 'counts', files: 0, bytes: 0 });
  for (const facts of job.catalog.values()) {
    // It is unknown which counts the names in unreadable rows belong to.
    if (job.unreadable.has(facts.id)) continue;
    for (const row of eachLink(job.tables, undefined, facts.id)) {
      if (row.changes.some(({ record }) => record !== null && isDir(record.mode))) {
        yield* checkDir(job, facts, row);
      }
    }
  }
  for (const { key, value } of eachRow(job.tables, 'inodes', decodeInodeNames)) {
    const facts = job.catalog.get(value.template);
    const ino = inoOfKey(key);
    if (facts !== undefined && !job.unnamed.has(ino))
      yield* checkFile(job, facts, ino, value.names);
  }
}

function* checkDir(job: Job, facts: TemplateFacts, row: LinkRow): Generator<Found> {
  const { id, versions } = facts;
  const ino = row.changes.find(({ record }) => record !== null && isDir(record.mode))?.record?.ino;
  if (ino === undefined || versions.length === 0) return;
  const subdirectories = new VersionSums(versions);
  const range = { start: linkKey(id, ino, 0, ''), end: linkKey(id, (ino + 1) as Ino, 0, '') };
  for (const { value } of eachRow(job.tables, 'links', decodeLink, undefined, range)) {
    subdirectories.add(value.changes, ({ mode }) => (isDir(mode) ? 1 : 0));
  }
  const counts = [...subdirectories.all()].map(({ version, sum }) => ({
    version,
    sum: sum + DIRECTORY_LINKS,
  }));
  yield* compare(job, row, counts, ({ mode }) => isDir(mode), 'subdirectories');
}

function* checkFile(
  job: Job,
  facts: TemplateFacts,
  ino: Ino,
  names: readonly { dir: Ino; name: LinkRow['name'] }[],
): Generator<Found> {
  const count = new VersionSums(facts.versions);
  const rows: Pick<LinkRow, 'template' | 'dir' | 'name' | 'changes'>[] = [];
  for (const { dir, name } of names) {
    const changes = job.history(facts.id, dir, name);
    if (!changes) continue;
    rows.push({ template: facts.id, dir, name, changes });
    count.add(changes, (record) => (record.ino === ino ? 1 : 0));
  }
  const counts = [...count.all()];
  for (const row of rows) yield* compare(job, row, counts, (record) => record.ino === ino, 'names');
}

/** Checks that each record of the row has the count of all versions that see it. */
function* compare(
  job: Job,
  row: Pick<LinkRow, 'template' | 'dir' | 'name' | 'changes'>,
  counts: readonly { readonly version: number; readonly sum: number }[],
  isMeant: (record: InodeRecord) => boolean,
  counted: string,
): Generator<Found> {
  let next = Number.POSITIVE_INFINITY;
  for (const { version, record } of row.changes) {
    const seen = counts.filter((count) => count.version >= version && count.version < next);
    next = version;
    if (record === null || !isMeant(record)) continue;
    const wrong = seen.find(({ sum }) => sum !== record.nlink);
    if (wrong === undefined) continue;
    const where = job.linkPlace(row.template, row.dir, row.name);
    const what = `in version ${wrong.version} its link count is ${record.nlink}, and by its ${counted} ${wrong.sum}`;
    // If versions with one record differ in the count, a change between them is lost.
    const same = seen.every(({ sum }) => sum === wrong.sum);
    const rows = () => rewrite(job, row, version, { nlink: wrong.sum });
    yield damage('links.nlink', where, what, same ? BY_REPAIR : FROM_BACKUP, same ? { rows } : {});
  }
}
