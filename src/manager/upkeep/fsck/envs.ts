/** Checks the rows of envs: their names, and that the templates in their stacks exist. */
import { existsSync, readdirSync } from 'node:fs';
import {
  decodeEnv,
  decodeNumber,
  type EnvRow,
  encodeEnv,
  type StackEntry,
} from '../../../codec/store-rows.ts';
import { envMounts } from '../../../ipc/mount-table.ts';
import { MISSING_REMEDY, missingDelta } from '../../../store/delta-marks.ts';
import { idKey, textKey } from '../../../store/keys.ts';
import { snapshotIn } from '../../../store/names.ts';
import { envDir } from '../../../store/root.ts';
import type { TemplateFacts } from './catalog-facts.ts';
import { envName } from './delta-job.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP, restoring } from './finding.ts';
import type { Job } from './job.ts';
import { checkNameIndex } from './name-index.ts';
import { eachRow, hasRow, readRow } from './rows.ts';

/** Checks all rows of envs. */
export function* checkEnvs(job: Job): Generator<Found> {
  const bad: Found[] = [];
  const rows: EnvRow[] = [];
  const unread = (id: number, why: string): void => {
    const what = `its row can't be read (${why}); neither can byref list`;
    bad.push(damage('envs.row', `env number ${id}`, what, restoring(why)));
  };
  const entries = eachRow(job.tables, 'envs', decodeEnv, ({ key, why }) =>
    unread(key.readUInt32BE(0), why),
  );
  for (const { key, value } of entries) {
    job.checked.envs++;
    if (key.equals(idKey(value.id))) rows.push(value);
    else unread(key.readUInt32BE(0), `it says that it is of env ${value.id}`);
  }
  yield* bad;
  for (const row of rows) {
    yield* checkStack(job, row);
    yield* checkShard(job, row);
    yield* checkDirectory(job, row);
  }
  yield* checkNameIndex(job, {
    check: 'envs.names',
    index: 'envNames',
    describe: ({ name }) => `env ${name}`,
    rows,
    has: (id) => hasRow(job.tables, 'envs', idKey(id)),
    // A destroy removes row and name at once: an env with files and a name has lost its row.
    mayRemove: (id) => !hasFiles(envDir(job.root, id)),
  });
}

const hasFiles = (directory: string): boolean =>
  existsSync(directory) && readdirSync(directory).length > 0;

/** Checks that the directory of an env that was mounted before is there: all of its changes are in it. */
function* checkDirectory({ root }: Job, row: EnvRow): Generator<Found> {
  const missing = missingDelta(root, row.id);
  if (missing !== null)
    yield damage('envs.directory', envName({ id: row.id, row }), missing, MISSING_REMEDY);
}

/** Says how an env is removed, or a snapshot. */
const removal = ({ name }: EnvRow): string =>
  snapshotIn(name) === null
    ? `destroy the env (byref destroy ${name})`
    : 'remove the snapshot (byref snapshot rm)';

function* checkStack(job: Job, row: EnvRow): Generator<Found> {
  const where = envName({ id: row.id, row });
  const remedy = `${FROM_BACKUP}, or ${removal(row)}`;
  const ids = new Set(row.stack.map(({ templateId }) => templateId));
  if (ids.size < row.stack.length || row.stack.length === 0) {
    const what = row.stack.length === 0 ? 'it has no template' : 'it has one template twice';
    yield damage('envs.stack', where, what, remedy);
  }
  for (const [i, entry] of row.stack.entries()) {
    const facts = job.catalog.get(entry.templateId);
    if (facts === undefined) {
      const what = `its template ${entry.template} (number ${entry.templateId}) does not exist`;
      yield damage('envs.stack', where, what, remedy);
      continue;
    }
    const kind = i === 0 ? 'os' : 'app';
    if (facts.row !== null && facts.row.kind !== kind) {
      const what = `${facts.name} is of kind ${facts.row.kind}, and stands where an ${kind} does`;
      yield damage('envs.stack', where, what, remedy);
    }
    if (entry.pinned !== null && !facts.versions.includes(entry.pinned)) {
      const what = `it is pinned to ${facts.name}@${entry.pinned}, which does not exist`;
      const isSnapshot = snapshotIn(row.name) !== null;
      const mend = isSnapshot ? removal(row) : letFollow(row.name, facts.name);
      yield damage('envs.stack', where, what, mend);
    }
    yield* checkCanary(job, row, entry, facts);
  }
}

function* checkCanary(
  job: Job,
  { name }: EnvRow,
  { canary }: StackEntry,
  { name: template, versions }: TemplateFacts,
): Generator<Found> {
  if (canary === null) return;
  const where = `env ${name}`;
  const version = `${template}@${canary.version}`;
  if (!versions.includes(canary.version)) {
    const what = `as a canary it sees ${version}, which does not exist`;
    yield damage('envs.canary', where, what, letFollow(name, template));
    return;
  }
  if (hasRow(job.tables, 'patches', idKey(canary.patch))) return;
  const what = `as a canary of patch ${canary.patch} it sees ${version}, and there is no such patch`;
  yield damage('envs.canary', where, what, letFollow(name, template));
}

const letFollow = (env: string, template: string): string =>
  `let it go with the others again: byref follow ${env} ${template}`;

/**
 * Checks an env's shard: a driver serves the envs of its shard, and patches ask only as many drivers as there
 * are shards.
 */
function* checkShard(job: Job, { id, name, shard }: EnvRow): Generator<Found> {
  const shards = readRow(job.tables, 'meta', textKey('shards'), decodeNumber);
  // If the number of shards can't be read, the check of counters reports and restores it.
  if (shards === null || shards === 0 || shard < (shards ?? 1)) return;
  const what = `its shard is ${shard}, and there are ${shards ?? 1}: patches pass it over while it is mounted`;
  const mounted = envMounts(job.root).has(id);
  const rows = (): void => {
    const row = readRow(job.tables, 'envs', idKey(id), decodeEnv);
    if (!row) return;
    const given = { ...row, shard: (id - 1) % (shards ?? 1) };
    job.tables.table('envs').putSync(idKey(id), encodeEnv(given));
  };
  const remedy = mounted ? 'unmount it, then run byref fsck --repair' : BY_REPAIR;
  yield damage('envs.shard', `env ${name}`, what, remedy, mounted ? {} : { rows });
}
