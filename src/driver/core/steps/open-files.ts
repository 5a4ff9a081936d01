/**
 * Says with which record a file continues that programs have open, once the env has no record of it.
 */
import { isPrivateIno } from '../../../base/ids.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../../codec/inode-record.ts';
import { isFree } from '../give-back.ts';
import type { StepChange } from './change.ts';
import { withBytes } from './records.ts';

/** Result of usedAs(): no program uses the file. */
export const UNUSED = 'unused';

/**
 * Returns the record with which an open template file continues once the env has no record of it: the file may
 * come back with a version, under the same number. UNUSED if nothing uses it; null if that cannot be done now.
 * @param isItself the templates have this very file under the name now
 * @param likes files of the templates that may have the same bytes
 * @param isCompared the first of them is known to have
 */
export function usedAs(
  change: StepChange,
  record: InodeRecord,
  isItself: boolean,
  likes: readonly (InodeRecord | null)[],
  isCompared = false,
): InodeRecord | typeof UNUSED | null {
  const inode = isPrivateIno(record.ino) ? null : change.core.inodes.peek(record.ino);
  if (inode === null) return UNUSED;
  const { isOpen, first } = inode;
  // `change.blobStat` holds the private file's attributes. An empty file has nothing that can be mapped.
  const mayBe = inode.mayBeMapped && record.data === DATA_PRIVATE && change.blobStat.size > 0;
  const isMapped = mayBe && (isOpen || !isFree(change.core, inode));
  if (!isOpen && first === null && !(isItself && isMapped)) return UNUSED;
  // Its bytes may still be written through a mapping; or both nodeids have readers, and there is no third
  // nodeid.
  if (isMapped || (isOpen && first !== null)) return null;
  if (record.data !== DATA_PRIVATE) return record;
  const has = (each: InodeRecord): boolean => change.hasBytesOf(record.ino, each);
  const like = isCompared ? likes[0] : likes.find((each) => each !== null && has(each));
  if (like === undefined || like === null) return null;
  return withBytes(record, like, change.blobStat);
}

/** Takes a name from the env's file, in the change; the file continues as usedAs() said. */
export function letGo(
  change: StepChange,
  record: InodeRecord,
  used: InodeRecord | typeof UNUSED,
): void {
  if (used !== UNUSED) {
    leaveOpen(change, record, used);
    return;
  }
  const template = isPrivateIno(record.ino) ? null : change.core.lower.inode(record.ino);
  // If the file loses several names in this change, the last of them is not its only one.
  const isOnly = record.nlink === 1 && !change.losing.has(record.ino);
  if (template === null || !isOnly) change.loseName(record);
  else {
    change.giveBack(template);
    if (record.data === DATA_PRIVATE) change.bytesGone.push(record.ino);
  }
}

/**
 * Takes a name from an open file, in the change. Programs that have it open keep it, as with any file that a
 * flip replaced.
 */
function leaveOpen(change: StepChange, record: InodeRecord, used: InodeRecord): void {
  const { ino, data } = record;
  const known = change.losing.get(ino)?.record ?? record;
  if (known.nlink > 1) {
    change.loseName(known);
    return;
  }
  change.losing.delete(ino);
  change.core.tx.forget(ino);
  change.left.push({ inode: change.core.inodes.peek(ino)!, record: { ...used, nlink: 0 } });
  if (data === DATA_PRIVATE) change.bytesGone.push(ino);
}
