/** Removes damaged compositions: they follow from templates, and can be made again. */
import { decodeEnv, type TemplateRow } from '../../../codec/store-rows.ts';
import { envMounts } from '../../../ipc/mount-table.ts';
import { composedOf, isCompositionName } from '../../../store/compositions.ts';
import { idKey } from '../../../store/keys.ts';
import type { StackRef } from '../../../store/store.ts';
import { removeTemplateRows } from '../gc/remove-version.ts';
import { type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow, hasRow } from './rows.ts';

const MADE_AGAIN =
  'byref fsck --repair removes the composition, and makes it again for envs that need it';

/**
 * Returns how to remove a composition: with its rows and all that they refer to. @param remedy the text if that
 * is possible
 */
export function removal(job: Job, id: number, remedy = MADE_AGAIN): Pick<Found, 'remedy' | 'rows'> {
  const { row = null } = job.catalog.get(id) ?? {};
  if (row === null || !isReadable(job, row)) return { remedy: FROM_BACKUP };
  if (isShown(job, row)) return { remedy: `unmount the envs that show it; then ${remedy}` };
  const rows = (): void => {
    // The repair of another finding may have removed it.
    if (hasRow(job.tables, 'templates', idKey(id))) removeTemplateRows(job.store, row);
  };
  return { remedy, rows };
}

/** Returns true if all rows that would be removed can be read; tries it where nothing else can tell. */
function isReadable(job: Job, row: TemplateRow): boolean {
  if (job.unreadable.has(row.id) || job.catalog.get(row.id)?.unreadVersions.size !== 0)
    return false;
  if (!job.options.repair) return true;
  try {
    job.tables.attempt(() => removeTemplateRows(job.store, row));
    return true;
  } catch {
    return false;
  }
}

/** Returns true if an env with these templates is mounted: its driver may be reading the rows. */
function isShown(job: Job, { name }: TemplateRow): boolean {
  const mounts = envMounts(job.root);
  if (mounts.size === 0) return false;
  const stack = isCompositionName(name) ? idsOf(composedOf({ name })) : null;
  for (const { value } of eachRow(job.tables, 'envs', decodeEnv)) {
    if (mounts.has(value.id) && (stack === null || idsOf(value.stack) === stack)) return true;
  }
  return false;
}

const idsOf = (stack: readonly Pick<StackRef, 'templateId'>[]): string =>
  stack.map(({ templateId }) => templateId).join(' ');
