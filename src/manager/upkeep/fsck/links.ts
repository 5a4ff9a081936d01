/**
 * Checks the rows of `links`: what each name is in each version. Everything else about a template follows from
 * them.
 */
import { WRONG_SUM } from '../../../codec/row-sum.ts';
import { linkDir, linkKey, linkName } from '../../../store/keys.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP, restoring } from './finding.ts';
import { type Job, linkId } from './job.ts';
import { LinkParents } from './link-parents.ts';
import { checkRecords } from './link-records.ts';
import { cookieOf, eachLink, type LinkRow } from './link-scan.ts';
import { type BadRow, hasRow } from './rows.ts';

const REPORT_EVERY = 4096;

/** Checks all rows, and counts references to objects. */
export function* checkLinks(job: Job): Generator<Found> {
  const bad: Found[] = [];
  const badRow = ({ key, why }: BadRow): void => {
    const template = key.readUInt32BE(0);
    job.unreadable.add(template);
    // It may be another template's: its key can be what is wrong.
    if (why === WRONG_SUM) for (const id of job.catalog.keys()) job.unreadable.add(id);
    bad.push(
      damage('links.row', badPlace(job, key), `its row can't be read (${why})`, restoring(why)),
    );
  };
  const parents = new LinkParents(job);
  const missing = new MissingRows(job);
  for (const row of eachLink(job.tables, badRow)) {
    job.checked.links++;
    if (job.checked.links % REPORT_EVERY === 0) {
      job.options.progress({ phase: 'links', files: job.checked.links, bytes: 0 });
    }
    missing.note(row);
    yield* checkOrder(job, row);
    yield* checkCookie(job, row);
    yield* checkRecords(job, row);
    yield* parents.take(row);
  }
  yield* parents.end();
  yield* missing.found();
  yield* bad;
}

const badPlace = (job: Job, key: Buffer): string =>
  job.linkPlace(key.readUInt32BE(0), linkDir(key), linkName(key));

function* checkOrder(job: Job, { template, dir, name, changes }: LinkRow): Generator<Found> {
  const ordered = changes.every(
    ({ version }, i) => version > 0 && (i === 0 || version < changes[i - 1]!.version),
  );
  if (ordered) return;
  const versions = changes.map(({ version }) => version).join(', ');
  const what = `its history is out of order (versions ${versions}): lookups stop at the wrong one`;
  yield damage('links.history', job.linkPlace(template, dir, name), what, FROM_BACKUP);
}

/** Checks a row's key. A lookup uses the name's cookie, so a row under another key is listed but not found. */
function* checkCookie(job: Job, { template, dir, name, cookie }: LinkRow): Generator<Found> {
  const right = cookieOf(name);
  if (cookie === right) return;
  const to = linkKey(template, dir, right, name);
  const where = job.linkPlace(template, dir, name);
  const what = `its row stands at cookie ${cookie}, not at ${right}: it is listed, but not found`;
  job.misplaced.add(linkId(template, dir, name));
  if (hasRow(job.tables, 'links', to)) {
    yield damage('links.cookie', where, `${what}; another row is there`, FROM_BACKUP);
    return;
  }
  const from = linkKey(template, dir, cookie, name);
  const rows = (): void => {
    const table = job.tables.table('links');
    const value = table.get(from);
    if (value === undefined) return;
    table.putSync(to, value);
    table.removeSync(from);
    job.misplaced.delete(linkId(template, dir, name));
  };
  yield damage('links.cookie', where, what, BY_REPAIR, { rows });
}

/** Collects templates and versions that link rows name but that have no row: one finding for all their names. */
class MissingRows {
  private readonly job: Job;
  private readonly templates = new Map<number, number>();
  private readonly versions = new Map<string, { names: number; readonly first: string }>();

  constructor(job: Job) {
    this.job = job;
  }

  note({ template, dir, name, changes }: LinkRow): void {
    const facts = this.job.catalog.get(template);
    if (facts === undefined) {
      this.templates.set(template, (this.templates.get(template) ?? 0) + 1);
      return;
    }
    for (const { version } of changes) {
      if (facts.versions.includes(version)) continue;
      const key = this.job.version(facts.id, version);
      const seen = this.versions.get(key);
      if (seen !== undefined) seen.names++;
      else this.versions.set(key, { names: 1, first: this.job.paths.place(dir, name) });
    }
  }

  *found(): Generator<Found> {
    for (const [template, names] of this.templates) {
      const what = `links has ${names} names of it, and it has no row of its own`;
      yield damage('links.template', `template number ${template}`, what, FROM_BACKUP);
    }
    for (const [where, { names, first }] of this.versions) {
      const what = `it has no row, and ${names} names changed in it (first ${first})`;
      yield damage('links.versions', where, what, FROM_BACKUP);
    }
  }
}
