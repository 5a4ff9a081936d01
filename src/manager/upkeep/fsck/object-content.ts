/** Checks, with --full, every object's bytes against the SHA-256 that is its name. */
import type { ObjectId } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import { decodeObject } from '../../../codec/store-rows.ts';
import { hashFile, statObject } from '../objects/object-file.ts';
import { brokenObjects } from './broken-objects.ts';
import type { BrokenObject, Found } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow } from './rows.ts';

/** Reads each object once and trusts the result: an object's bytes do not change by themselves. */
export function* checkContent(job: Job): Generator<Found> {
  const sizes = new Map<ObjectId, number>();
  let totalBytes = 0;
  for (const { key, value } of eachRow(job.tables, 'objects', decodeObject)) {
    sizes.set(key.toString('hex') as ObjectId, value.size);
    totalBytes += value.size;
  }
  const broken: BrokenObject[] = [];
  let files = 0;
  const onBytes = (bytes: number): void => {
    job.checked.objectBytes += bytes;
    const { objectBytes } = job.checked;
    const total = { totalFiles: sizes.size, totalBytes };
    job.options.progress({ phase: 'content', files, bytes: objectBytes, ...total });
  };
  for (const [id, size] of sizes) {
    files++;
    const stat = statObject(job.store.objects, id);
    // A missing object, or one of another length, was reported already.
    if (stat === null || !isReg(stat.mode) || stat.size !== size) continue;
    const what = contentDamage(job, id, onBytes);
    if (what !== null) broken.push({ id, check: 'objects.content', what, file: true });
  }
  yield* brokenObjects(job, broken);
}

function contentDamage(job: Job, id: ObjectId, onBytes: (bytes: number) => void): string | null {
  try {
    return hashFile(job.store.objects.path(id), onBytes) === id ? null : 'its file has other bytes';
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    // ENOENT: it was removed meanwhile, with its row.
    return code === 'ENOENT' ? null : `its file can't be read (${message})`;
  }
}
