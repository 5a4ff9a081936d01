/**
 * Checks that names are in directories that their template has in the same versions, and that `templateDirs`
 * lists.
 */
import type { Ino } from '../../../base/ids.ts';
import type { LinkChange } from '../../../codec/link-history.ts';
import { decodeNumber, encodeNumber } from '../../../codec/store-rows.ts';
import { templateDirIno, templateDirKey } from '../../../store/keys.ts';
import type { TemplateFacts } from './catalog-facts.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { dirIno, type LinkRow } from './link-scan.ts';
import { type BadRow, eachRow } from './rows.ts';
import { VersionSums } from './version-sums.ts';

/** Takes link rows in the order of their keys. */
export class LinkParents {
  private readonly job: Job;
  private template: TemplateFacts | null = null;
  private since = new Map<Ino, number>();
  private unread = new Set<Ino>();
  /** The directory whose names are being read, and how many of them each version has. */
  private dir: Ino | 0 = 0;
  private names: VersionSums | null = null;

  constructor(job: Job) {
    this.job = job;
  }

  *take(row: LinkRow): Generator<Found> {
    const facts = this.job.catalog.get(row.template) ?? null;
    if (facts !== this.template) {
      yield* this.end();
      this.begin(facts);
    } else if (row.dir !== this.dir) yield* this.endOfDir();
    if (row.dir !== this.dir || this.names === null) {
      this.dir = row.dir;
      this.names = facts === null ? null : new VersionSums(facts.versions);
    }
    if (facts === null) return;
    this.names?.add(row.changes, () => 1);
    yield* this.checkSince(facts, row);
  }

  private begin(facts: TemplateFacts | null): void {
    this.template = facts;
    this.since = new Map();
    this.unread = new Set();
    if (facts === null) return;
    const start = templateDirKey(facts.id, 0 as Ino);
    const end = templateDirKey(facts.id + 1, 0 as Ino);
    const bad = ({ key }: BadRow) => this.unread.add(templateDirIno(key));
    const rows = eachRow(this.job.tables, 'templateDirs', decodeNumber, bad, { start, end });
    for (const { key, value } of rows) this.since.set(templateDirIno(key), value);
  }

  /** Checks that `templateDirs` lists a directory: otherwise no name in it is found. */
  private *checkSince(facts: TemplateFacts, { dir, name, changes }: LinkRow): Generator<Found> {
    const first = changes.findLast((change) => dirIno(change) !== null);
    const ino = this.job.dirInos.get(`${dir}/${name}`) ?? (first && dirIno(first));
    if (first === undefined || ino === undefined || ino === null) return;
    const since = this.since.get(ino);
    if (since !== undefined && since <= first.version) return;
    const known = this.unread.delete(ino)
      ? "has a row for it that can't be read"
      : since === undefined
        ? 'has no row for it'
        : `has it since version ${since}`;
    const what = `templateDirs ${known}, and it is there since ${first.version}: nothing in it is found`;
    const rows = () =>
      this.job.tables
        .table('templateDirs')
        .putSync(templateDirKey(facts.id, ino), encodeNumber(first.version));
    yield damage('links.templateDirs', this.job.linkPlace(facts.id, dir, name), what, BY_REPAIR, {
      rows,
    });
  }

  /** Call this when all names of a template were read. */
  *end(): Generator<Found> {
    yield* this.endOfDir();
    if (this.template === null) return;
    const { id } = this.template;
    // Unreadable rows of directories that no version has: useless, but every mount fails on them.
    for (const ino of this.unread) {
      const where = `${this.job.template(id)}: ${this.job.paths.of(ino)}`;
      const rows = () =>
        void this.job.tables.table('templateDirs').removeSync(templateDirKey(id, ino));
      const what = "templateDirs has a row for it that can't be read";
      yield damage('links.templateDirs', where, what, BY_REPAIR, { rows });
    }
    this.template = null;
  }

  /** Called when all names of a directory were read. */
  private *endOfDir(): Generator<Found> {
    const { template, dir, names } = this;
    this.names = null;
    if (template === null || names === null || dir === 0) return;
    const where = `${this.job.template(template.id)}: ${this.job.paths.of(dir) || '/'}`;
    const history = this.historyOf(template.id, dir);
    if (history === null) return;
    const hanging = names.firstWhere((count, version) => count > 0 && !isDirAt(history, version));
    if (hanging === null) return;
    const what = `version ${hanging.version} has ${hanging.sum} names in it, and no such directory`;
    yield damage('links.parent', where, what, FROM_BACKUP);
  }

  /** Returns the directory's history; null if it can't be read. */
  private historyOf(template: number, dir: Ino): readonly LinkChange[] | null {
    const place = this.job.dirPlaces.get(dir);
    if (place === undefined) return [];
    const history = this.job.history(template, place.parent, place.name);
    return history === undefined ? [] : history;
  }
}

function isDirAt(history: readonly LinkChange[], version: number): boolean {
  const change = history.find((candidate) => candidate.version <= version);
  return change !== undefined && dirIno(change) !== null;
}
