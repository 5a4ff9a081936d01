/** Makes the step that gives a template's file attributes of the env's own. */
import { isDir, S_IFMT } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import { sameXattrs } from '../../../codec/same-inode.ts';
import type { Step } from '../../../codec/steps.ts';
import type { StepChange } from './change.ts';
import { withAttributes } from './records.ts';

/** Gives the templates' file or directory under a name the step's attributes, as the env's own. */
export function dress(change: StepChange, step: Step): boolean {
  const { dir, name, source, attributes } = step;
  const { core, lower } = change;
  const below = lower.lookup(dir, name);
  if (below === null || below.ino !== source || attributes === undefined) return false;
  const like = { ...below, ...withAttributes(below, attributes) };
  if (isDir(below.mode)) return dressDir(change, step, like);
  const { ino: own = 0 } = core.delta.name(dir, name) ?? {};
  if (own !== step.ino) return change.isLike(own, like) ? change.isDone() : false;
  const record = own === 0 ? null : change.asCompared(own, step);
  if (own !== 0 && record === null) return false;
  change.begin();
  if (own === source) change.setRecord({ ...record!, ...withAttributes(below, attributes) });
  else setDressed(change, step, like);
  return true;
}

/**
 * Gives the template's inode a record of the env's own, under all its names, in the change. If that inode is
 * taken, makes a file of the env's own instead. @returns the record; null for a file of the env's own
 */
export function setDressed(
  change: StepChange,
  { dir, name, ino }: Step,
  like: InodeRecord,
): InodeRecord | null {
  const { core, lower } = change;
  const inode = core.inodes.peek(like.ino);
  // The env has the inode elsewhere, or programs have it open from when it was here before.
  const isTaken = core.delta.inode(like.ino) !== null || (inode?.gone ?? null) !== null;
  const places = isTaken ? [{ dir, name }] : lower.names(like.ino);
  const names = places.filter((place) => {
    const own = core.delta.name(place.dir, place.name);
    const isIt = place.dir === dir && place.name === name;
    return own === null || isIt || (own.ino !== 0 && own.ino === ino);
  });
  for (const place of names) {
    const own = core.delta.name(place.dir, place.name);
    const shown = own === null ? core.lower.lookup(place.dir, place.name) : null;
    if (own !== null && own.ino !== 0) change.loseName(change.recordOf(own.ino)!);
    else if (shown !== null && shown.ino !== like.ino) change.leave(shown);
    change.touched.push(place);
  }
  if (isTaken) {
    change.setCopy({ dir, name }, like);
    return null;
  }
  for (const place of names) {
    core.tx.setName(place.dir, place.name, like.ino, like.mode & S_IFMT);
    change.cleared.add(`${place.dir} ${place.name}`);
  }
  const record = { ...like, nlink: names.length };
  change.setRecord(record);
  return record;
}

function dressDir(change: StepChange, { ino, source }: Step, like: InodeRecord): boolean {
  const own = change.core.delta.inode(source!);
  if ((ino !== 0) !== (own !== null)) return own !== null ? change.isDone() : false;
  const { mode, uid, gid, xattrs } = like;
  const isSame = own?.mode === mode && own.uid === uid && own.gid === gid;
  if (own !== null && isSame && sameXattrs(own.xattrs, xattrs)) return change.isDone();
  change.begin();
  change.setDir(own === null ? like : { ...own, mode, uid, gid, xattrs });
  return true;
}
