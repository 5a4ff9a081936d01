/** Checks the records of patches, the lists of their envs, and the count of unfinished ones. */
import { decodePatchEnvs, decodePatchHead, type PatchHead } from '../../../codec/patch-record.ts';
import { decodeNumber } from '../../../codec/store-rows.ts';
import { idKey, textKey } from '../../../store/keys.ts';
import { isUnfinished, UNFINISHED_COUNT } from '../../../store/patch-rows.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP, restoring } from './finding.ts';
import type { Job } from './job.ts';
import { type BadRow, eachRow, hasRow, readRow } from './rows.ts';

/** Checks all records of patches. */
export function* checkPatches(job: Job): Generator<Found> {
  const bad: Found[] = [];
  const found = (id: number, what: string, remedy = FROM_BACKUP) =>
    damage('patches.row', `patch ${id}`, what, remedy);
  const unread = ({ key, why }: BadRow): void =>
    void bad.push(found(key.readUInt32BE(0), `its record can't be read (${why})`, restoring(why)));
  let unfinished = 0;
  for (const { key, value } of eachRow(job.tables, 'patches', decodeHead, unread)) {
    job.checked.patches++;
    if (isUnfinished(value)) unfinished++;
    if (!hasRow(job.tables, 'patchEnvs', key)) yield found(value.id, 'its envs are lost');
  }
  yield* checkCount(job, unfinished, bad.length > 0);
  yield* bad.splice(0);
  for (const { key } of eachRow(job.tables, 'patchEnvs', decodeEnvs, unread)) {
    if (hasRow(job.tables, 'patches', key)) continue;
    yield found(key.readUInt32BE(0), 'its envs are there, and it has no record');
  }
  yield* bad;
}

function* checkCount(job: Job, unfinished: number, mayBeMore: boolean): Generator<Found> {
  const counted = readRow(job.tables, 'meta', textKey(UNFINISHED_COUNT), decodeNumber);
  if ((counted === undefined ? 0 : counted) === unfinished || mayBeMore) return;
  const said = counted === null ? "what meta counts can't be read" : `meta counts ${counted ?? 0}`;
  const what = `${said}, and ${unfinished} patches are not finished`;
  const rows = () => job.tables.setNumber(UNFINISHED_COUNT, unfinished);
  yield damage('patches.unfinished', 'patches', what, BY_REPAIR, { rows });
}

/** Decodes a record and checks the fields that other rows depend on; its JSON may be anything. */
function decodeHead(value: Buffer, key: Buffer): PatchHead {
  const head = decodePatchHead(value) as Partial<PatchHead> | null;
  const isHead =
    typeof head?.kind === 'string' &&
    typeof head.state === 'string' &&
    typeof head.templateId === 'number' &&
    typeof head.from === 'number' &&
    typeof head.to === 'number';
  if (!isHead) throw new RangeError('it lacks a field');
  if (!key.equals(idKey(head.id ?? 0))) throw new RangeError(`it is of patch ${head.id}`);
  return head as PatchHead;
}

function decodeEnvs(value: Buffer): void {
  const envs: unknown = decodePatchEnvs(value);
  if (!Array.isArray(envs)) throw new RangeError('its envs are no list');
}
