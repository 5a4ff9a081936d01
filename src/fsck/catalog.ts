/** Templates, their names, and the rows of their versions. */
import {
  decodeTemplate,
  decodeVersion,
  encodeTemplate,
  encodeVersion,
  type TemplateRow,
  type VersionRow,
} from '../codec/store-rows.ts';
import { idKey, linkKey, versionKey } from '../store/keys.ts';
import type { TemplateFacts } from './catalog-facts.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { checkNameIndex } from './name-index.ts';
import { type BadRow, eachRow, readRow, tableOf } from './rows.ts';

export function* checkCatalog(job: Job): Generator<Found> {
  const bad: Found[] = [];
  const rows: TemplateRow[] = [];
  const badRow = ({ key, why }: BadRow): void => {
    const where = `template ${job.templateName(key.readUInt32BE(0))}`;
    bad.push(damage('catalog.row', where, unread(why), FROM_BACKUP));
  };
  const range = eachRow(job.tables, 'templates', decodeTemplate, badRow);
  for (const { key, value } of range) {
    job.checked.templates++;
    if (key.equals(idKey(value.id))) rows.push(value);
    else badRow({ key, why: `it says that it is of template ${value.id}` });
    yield* checkKind(job, value);
  }
  yield* bad;
  for (const row of rows) yield* checkVersionsOf(job, row);
  yield* checkNameIndex(job, {
    check: 'catalog.names',
    index: 'templateNames',
    kind: 'template',
    rows,
    has: (id) => job.catalog.has(id),
    mayRemove: (id) => !hasContent(job, id),
  });
  yield* checkVersionRows(job);
}

/** Rows that say that the template was not removed, but lost its own. */
function hasContent({ tables }: Job, id: number): boolean {
  const ranges = [
    ['versions', versionKey(id, 0), versionKey(id + 1, 0)],
    ['links', linkKey(id, 0, 0, ''), linkKey(id + 1, 0, 0, '')],
  ] as const;
  return ranges.some(([name, start, end]) => {
    const keys = tableOf(tables, name)?.getKeys({ start, end, limit: 1 }) ?? [];
    return [...keys].length > 0;
  });
}

const unread = (why: string): string => `its row can't be read (${why})`;

function* checkKind(job: Job, row: TemplateRow): Generator<Found> {
  const value = job.tables.table('templates').get(idKey(row.id));
  // The kind is one byte, read as "os or else app": another one would go unseen.
  if (value === undefined || encodeTemplate(row).equals(value)) return;
  const where = `template ${row.name}`;
  yield damage('catalog.kind', where, 'its row is not as byref writes it', FROM_BACKUP);
}

function* checkVersionsOf(job: Job, row: TemplateRow): Generator<Found> {
  const where = `template ${row.name}`;
  const { versions = [] } = job.catalog.get(row.id) ?? {};
  if (!versions.includes(row.current)) {
    const there = versions.length === 0 ? 'it has none' : `it has ${versions.join(', ')}`;
    const what = `its current version ${row.current} does not exist: ${there}`;
    yield damage('catalog.current', where, what, FROM_BACKUP);
  }
  const highest = versions.at(-1) ?? 0;
  if (row.newest < highest) {
    const what = `the highest number it has given is ${row.newest}, and it has version ${highest}`;
    const rows = () => updateTemplate(job, row.id, { newest: highest });
    yield damage('catalog.newest', where, what, BY_REPAIR, { rows });
  }
}

/** Changes a template's row as it is then: another repair may have changed it too. */
function updateTemplate(job: Job, id: number, changes: Partial<TemplateRow>): void {
  const key = idKey(id);
  const row = readRow(job.tables, 'templates', key, decodeTemplate);
  if (row) job.tables.table('templates').putSync(key, encodeTemplate({ ...row, ...changes }));
}

function* checkVersionRows(job: Job): Generator<Found> {
  const bad: Found[] = [];
  const unknown = new Set<number>();
  const badRow = ({ key, why }: BadRow): void => {
    bad.push(damage('catalog.row', versionName(job, key), unread(why), FROM_BACKUP));
  };
  for (const { key, value } of eachRow(job.tables, 'versions', decodeVersion, badRow)) {
    job.checked.versions++;
    const template = key.readUInt32BE(0);
    if (!key.equals(versionKey(template, value.number))) {
      badRow({ key, why: `it says that it is of version ${value.number}` });
    }
    const facts = job.catalog.get(template);
    if (facts === undefined) unknown.add(template);
    else yield* checkStaged(job, facts, value);
  }
  yield* bad;
  for (const template of unknown) {
    const what = 'it has versions, and no row of its own';
    yield damage('catalog.versions', `template number ${template}`, what, FROM_BACKUP);
  }
}

/** What is current can't be waiting to become it. */
function* checkStaged(job: Job, facts: TemplateFacts, version: VersionRow): Generator<Found> {
  if (!version.staged || facts.row?.current !== version.number) return;
  const key = versionKey(facts.id, version.number);
  const where = `template ${facts.name}@${version.number}`;
  const what = 'it is current, and is said to be staged';
  const rows = () =>
    job.tables.table('versions').putSync(key, encodeVersion({ ...version, staged: false }));
  yield damage('catalog.staged', where, what, BY_REPAIR, { rows });
}

const versionName = (job: Job, key: Buffer): string =>
  `template ${job.templateName(key.readUInt32BE(0))}@${key.readUInt32BE(4)}`;
