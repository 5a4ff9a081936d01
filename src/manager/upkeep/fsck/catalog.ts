/** Checks templates, their names, and the rows of their versions. */
import {
  decodeTemplate,
  decodeVersion,
  encodeTemplate,
  encodeVersion,
  type TemplateRow,
  type VersionBase,
  type VersionRow,
} from '../../../codec/store-rows.ts';
import { isCompositionName } from '../../../store/compositions.ts';
import { idKey, linkKey, versionKey } from '../../../store/keys.ts';
import type { TemplateFacts } from './catalog-facts.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP, restoring } from './finding.ts';
import type { Job } from './job.ts';
import { checkNameIndex } from './name-index.ts';
import { type BadRow, eachKey, eachRow, readRow } from './rows.ts';

/** Checks the rows of templates and versions, and the index of names. */
export function* checkCatalog(job: Job): Generator<Found> {
  const bad: Found[] = [];
  const rows: TemplateRow[] = [];
  const badRow = ({ key, why }: BadRow): void => {
    const where = job.template(key.readUInt32BE(0));
    bad.push(damage('catalog.row', where, unread(why), restoring(why)));
  };
  const range = eachRow(job.tables, 'templates', decodeTemplate, badRow);
  for (const { key, value } of range) {
    job.checked[value.kind === 'composition' ? 'compositions' : 'templates']++;
    if (key.equals(idKey(value.id))) rows.push(value);
    else badRow({ key, why: `it says that it is of template ${value.id}` });
    yield* checkKind(job, value);
  }
  yield* bad;
  for (const row of rows) {
    // A composition must have exactly one version: see compositions.ts.
    if (row.kind !== 'composition') yield* checkVersionsOf(job, row);
  }
  yield* checkNameIndex(job, {
    check: 'catalog.names',
    index: 'templateNames',
    describe: ({ id, name }) => (id === null ? `template ${name}` : job.template(id)),
    rows,
    has: (id) => job.catalog.has(id),
    mayRemove: (id) => !hasContent(job, id),
  });
  yield* checkVersionRows(job);
}

/** Returns true if other rows show that a template was not removed, but lost its own row. */
export function hasContent({ tables }: Job, id: number): boolean {
  const ranges = [
    ['versions', versionKey(id, 0), versionKey(id + 1, 0)],
    ['links', linkKey(id, 0, 0, ''), linkKey(id + 1, 0, 0, '')],
  ] as const;
  return ranges.some(([name, start, end]) => {
    return [...eachKey(tables, name, { start, end, limit: 1 })].length > 0;
  });
}

const unread = (why: string): string => `its row can't be read (${why})`;

function* checkKind(job: Job, row: TemplateRow): Generator<Found> {
  const value = readRow(job.tables, 'templates', idKey(row.id), (bytes) => bytes);
  // The kind is one byte, and an unknown one is read as an app's, so it would go unnoticed.
  if (!value || encodeTemplate(row).equals(value)) {
    if (row.kind === 'composition' || !isCompositionName(row.name)) return;
    const what = `its name is a composition's, and it is of kind ${row.kind}`;
    const rows = () => updateTemplate(job, row.id, { kind: 'composition' });
    yield damage('catalog.kind', job.template(row.id), what, BY_REPAIR, { rows });
    return;
  }
  const where = job.template(row.id);
  yield damage('catalog.kind', where, 'its row is not as byref writes it', FROM_BACKUP);
}

function* checkVersionsOf(job: Job, row: TemplateRow): Generator<Found> {
  const where = job.template(row.id);
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

/** Changes a template's row as it is at that time: another repair may have changed it, too. */
function updateTemplate(job: Job, id: number, changes: Partial<TemplateRow>): void {
  const key = idKey(id);
  const row = readRow(job.tables, 'templates', key, decodeTemplate);
  if (row) job.tables.table('templates').putSync(key, encodeTemplate({ ...row, ...changes }));
}

function* checkVersionRows(job: Job): Generator<Found> {
  const bad: Found[] = [];
  const unknown = new Set<number>();
  const badRow = ({ key, why }: BadRow): void => {
    bad.push(damage('catalog.row', versionName(job, key), unread(why), restoring(why)));
  };
  for (const { key, value } of eachRow(job.tables, 'versions', decodeVersion, badRow)) {
    const template = key.readUInt32BE(0);
    if (!job.isComposition(template)) job.checked.versions++;
    if (!key.equals(versionKey(template, value.number))) {
      badRow({ key, why: `it says that it is of version ${value.number}` });
    }
    const facts = job.catalog.get(template);
    if (facts === undefined) unknown.add(template);
    else {
      yield* checkStaged(job, facts, value);
      yield* checkBase(job, facts, value);
    }
  }
  yield* bad;
  for (const template of unknown) {
    const what = 'it has versions, and no row of its own';
    yield damage('catalog.versions', `template number ${template}`, what, FROM_BACKUP);
  }
}

/** Checks that a current version is not marked as staged, too. */
function* checkStaged(job: Job, facts: TemplateFacts, version: VersionRow): Generator<Found> {
  if (!version.staged || facts.row?.current !== version.number) return;
  const key = versionKey(facts.id, version.number);
  const where = job.version(facts.id, version.number);
  const what = 'it is current, and is said to be staged';
  const rows = () =>
    job.tables.table('versions').putSync(key, encodeVersion({ ...version, staged: false }));
  yield damage('catalog.staged', where, what, BY_REPAIR, { rows });
}

/** Checks an app's base: what the app shares with it is merged against the version that it was installed on. */
function* checkBase(
  job: Job,
  { id, name }: TemplateFacts,
  { number, base }: VersionRow,
): Generator<Found> {
  if (base === null) return;
  const facts = job.catalog.get(base.templateId);
  const what = baseDamage(facts, base);
  if (what === null) return;
  const remedy = `build the app again (byref template update ${name}), then remove this version, or ${FROM_BACKUP}`;
  yield damage('catalog.base', job.version(id, number), what, remedy);
}

function baseDamage(
  facts: TemplateFacts | undefined,
  { templateId, version }: VersionBase,
): string | null {
  const what = 'it was installed on';
  if (facts === undefined) return `${what} template number ${templateId}, which does not exist`;
  const base = `${what} ${facts.name}@${version}`;
  if (!facts.versions.includes(version)) return `${base}, which does not exist`;
  const kind = facts.row?.kind ?? 'os';
  return kind === 'os' ? null : `${base}, which is of kind ${kind}`;
}

const versionName = (job: Job, key: Buffer): string =>
  job.version(key.readUInt32BE(0), key.readUInt32BE(4));
