/** Checks, with --full, what the rows of versions say about their files against all link rows. */
import type { Ino } from '../../../base/ids.ts';
import { isDir, isReg } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import { decodeVersion, encodeVersion, type VersionRow } from '../../../codec/store-rows.ts';
import { versionKey } from '../../../store/keys.ts';
import type { TemplateFacts } from './catalog-facts.ts';
import { BY_REPAIR, damage, type Found } from './finding.ts';
import type { Job } from './job.ts';
import { eachLink } from './link-scan.ts';
import { readRow } from './rows.ts';
import { VersionSums } from './version-sums.ts';

type Counts = Pick<VersionRow, 'files' | 'directories' | 'bytes'>;

/** Checks the rows of all versions. */
export function* checkVersionCounts(job: Job): Generator<Found> {
  for (const facts of job.catalog.values()) {
    if (!job.unreadable.has(facts.id)) yield* checkTemplate(job, facts);
  }
}

function* checkTemplate(job: Job, facts: TemplateFacts): Generator<Found> {
  for (const [version, counts] of countsOf(job, facts)) {
    const key = versionKey(facts.id, version);
    const row = readRow(job.tables, 'versions', key, decodeVersion);
    if (!row) continue;
    const wrong = (['files', 'directories', 'bytes'] as const).filter(
      (name) => row[name] !== counts[name],
    );
    if (wrong.length === 0) continue;
    const said = wrong.map((name) => `${row[name]} ${name}, not ${counts[name]}`).join('; ');
    const rows = () =>
      job.tables.table('versions').putSync(key, encodeVersion({ ...row, ...counts }));
    const where = job.version(facts.id, version);
    yield damage('catalog.counts', where, `its row says ${said}`, BY_REPAIR, { rows });
  }
}

function countsOf(job: Job, { id, versions }: TemplateFacts): Map<number, Counts> {
  const files = new VersionSums(versions);
  const directories = new VersionSums(versions);
  const bytes = new VersionSums(versions);
  // All names of a file appear and disappear together, so its bytes are counted for the first one.
  const linked = new Map<Ino, string>();
  for (const { dir, name, changes } of eachLink(job.tables, undefined, id)) {
    const here = `${dir}/${name}`;
    const isFirst = ({ ino, nlink }: InodeRecord): boolean => {
      if (nlink > 1 && !linked.has(ino)) linked.set(ino, here);
      return nlink <= 1 || linked.get(ino) === here;
    };
    files.add(changes, ({ mode }) => (isDir(mode) ? 0 : 1));
    directories.add(changes, ({ mode }) => (isDir(mode) ? 1 : 0));
    bytes.add(changes, (record) => (isReg(record.mode) && isFirst(record) ? record.size : 0));
  }
  const [ofFiles, ofDirectories, ofBytes] = [files, directories, bytes].map((sums) => [
    ...sums.all(),
  ]);
  return new Map(
    versions.map((version, i) => [
      version,
      {
        files: ofFiles![i]!.sum,
        directories: ofDirectories![i]!.sum,
        bytes: ofBytes![i]!.sum,
      },
    ]),
  );
}
