/** Checks the index of changes, which patches rely on: it has a row for every name that a version changed. */
import { historyVersions } from '../../../codec/link-history.ts';
import {
  type ChangedName,
  FIRST_VERSION,
  forgetChanges,
  noteChange,
} from '../../../store/changed-names.ts';
import { changeDir, changeKey, changeName, linkDir, linkName } from '../../../store/keys.ts';
import { BY_REPAIR, damage, type Found, leftover, REMOVED_BY_REPAIR } from './finding.ts';
import type { Job } from './job.ts';
import { eachKey, eachRow, isKey, readRow } from './rows.ts';

/** Compares `changes` with the histories in `links`. */
export function* checkChanges(job: Job): Generator<Found> {
  const missing = new ChangeGroups();
  for (const { key, value } of eachRow(job.tables, 'links', historyVersions)) {
    const template = key.readUInt32BE(0);
    const name = { dir: linkDir(key), name: linkName(key) };
    for (const version of value) {
      if (version <= FIRST_VERSION) continue;
      const row = changeKey(template, version, name.dir, name.name);
      const there = readRow(job.tables, 'changes', row, () => true) === true;
      if (!there) missing.add(template, version, name);
    }
  }
  for (const { template, version, names } of missing.all()) {
    const what = `changes lacks ${names.length} names that it changed (first ${pathOf(job, names)}): patches pass over them`;
    const rows = () => {
      for (const name of names) noteChange(job.tables, template, version, name);
    };
    yield damage('changes.missing', versionName(job, template, version), what, BY_REPAIR, { rows });
  }
  yield* checkExtra(job);
}

function* checkExtra(job: Job): Generator<Found> {
  const extra = new ChangeGroups();
  const removed = new Map<number, number>();
  for (const key of eachKey(job.tables, 'changes')) {
    if (!isKey('changes', key)) continue;
    const template = key.readUInt32BE(0);
    const version = key.readUInt32BE(4);
    const name = { dir: changeDir(key), name: changeName(key) };
    if (isChange(job, template, version, name)) continue;
    if (job.catalog.has(template)) extra.add(template, version, name);
    else removed.set(template, (removed.get(template) ?? 0) + 1);
  }
  for (const { template, version, names } of extra.all()) {
    const what = `changes has ${names.length} names that it did not change (first ${pathOf(job, names)})`;
    const rows = () => {
      const table = job.tables.table('changes');
      for (const { dir, name } of names) table.removeSync(changeKey(template, version, dir, name));
    };
    yield damage('changes.extra', versionName(job, template, version), what, BY_REPAIR, { rows });
  }
  for (const [template, count] of removed) {
    const what = `changes has ${count} names of this template, which was removed`;
    const rows = () => forgetChanges(job.tables, template);
    const where = `template number ${template}`;
    yield leftover('changes.extra', where, what, REMOVED_BY_REPAIR, { rows });
  }
}

/** Returns true if a history says that the version changed the name, or can't be read. */
function isChange(
  job: Job,
  template: number,
  version: number,
  { dir, name }: ChangedName,
): boolean {
  const history = job.history(template, dir, name);
  if (history === null) return true;
  return (
    version > FIRST_VERSION && (history?.some((change) => change.version === version) ?? false)
  );
}

const versionName = (job: Job, template: number, version: number): string =>
  job.version(template, version);

const pathOf = (job: Job, [first]: readonly ChangedName[]): string =>
  first === undefined ? '' : job.paths.place(first.dir, first.name);

/** Collects names by template and version. */
class ChangeGroups {
  private readonly groups = new Map<string, ChangeGroup>();

  add(template: number, version: number, name: ChangedName): void {
    const key = `${template}@${version}`;
    const group = this.groups.get(key) ?? { template, version, names: [] };
    group.names.push(name);
    this.groups.set(key, group);
  }

  all(): Iterable<ChangeGroup> {
    return this.groups.values();
  }
}

interface ChangeGroup {
  readonly template: number;
  readonly version: number;
  readonly names: ChangedName[];
}
