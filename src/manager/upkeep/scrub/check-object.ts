import type { ObjectId } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import type { ObjectRow } from '../../../codec/store-rows.ts';
import type { Store } from '../../../store/store.ts';
import type { BrokenObject } from '../fsck/finding.ts';
import { statObject } from '../objects/object-file.ts';
import type { Pace } from './pace.ts';
import type { DiskReader } from './read-object.ts';

/** What an object is read with. */
export interface ObjectReads {
  readonly reader: DiskReader;
  readonly pace: Pace;
  readonly onBytes: (bytes: number) => void;
}

/** Reads one object. Returns what is wrong with it; null if nothing is, or if it was removed meanwhile. */
export async function checkObject(
  store: Store,
  id: ObjectId,
  row: ObjectRow,
  reads: ObjectReads,
): Promise<BrokenObject | null> {
  const broken = await find(store, id, row, reads);
  if (broken === null) return null;
  // It may have been removed, or replaced, while it was read.
  store.refresh();
  const now = store.objects.row(id);
  if (now === null) return null;
  return broken.check === 'objects.missing' && statObject(store.objects, id) !== null
    ? null
    : broken;
}

async function find(
  { objects }: Store,
  id: ObjectId,
  { size }: ObjectRow,
  { reader, pace, onBytes }: ObjectReads,
): Promise<BrokenObject | null> {
  const stat = statObject(objects, id);
  if (stat === null) {
    return { id, check: 'objects.missing', what: 'its file is missing', file: false };
  }
  if (!isReg(stat.mode)) {
    return { id, check: 'objects.type', what: 'it is no regular file', file: true };
  }
  try {
    if ((await reader.hash(objects.path(id), pace, onBytes)) === id) return null;
  } catch (error) {
    if (pace.isOver) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      return { id, check: 'objects.missing', what: 'its file is missing', file: false };
    }
    return {
      id,
      check: 'objects.content',
      what: `its file can't be read (${message})`,
      file: true,
    };
  }
  return stat.size === size
    ? { id, check: 'objects.content', what: 'its file has other bytes', file: true }
    : {
        id,
        check: 'objects.size',
        what: `its file has ${stat.size} bytes, not ${size}`,
        file: true,
      };
}
