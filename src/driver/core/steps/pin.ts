/** Makes steps that pin a name to what the env shows there: a file that stays as it is, or the absence of one. */
import type { Ino } from '../../../base/ids.ts';
import { isDir, S_IFMT } from '../../../base/mode.ts';
import { DATA_PRIVATE, FLAG_KEPT } from '../../../codec/inode-record.ts';
import { HIDDEN, type Step } from '../../../codec/steps.ts';
import { namesToPin } from '../names.ts';
import type { DeltaName } from '../ports.ts';
import type { StepChange } from './change.ts';

/** Pins a template's file under all its names, so that it stays in the env when the templates go on. */
export function keep(change: StepChange, step: Step): boolean {
  const { core } = change;
  const { dir, name, ino } = step;
  const own = core.delta.name(dir, name);
  if (own !== null) return keepTouched(change, step, own);
  const record = core.lower.lookup(dir, name);
  if (record === null || record.ino !== ino || isDir(record.mode)) return false;
  const inode = core.inodes.adopt(record, null);
  if (inode.inDelta) return false;
  change.begin();
  for (const place of namesToPin(core, inode)) {
    core.tx.setName(place.dir, place.name, inode.ino, record.mode & S_IFMT);
    change.count(place.dir, core.inodes.stampOf(place.dir));
  }
  core.tx.set(inode, { ...inode.record, flags: inode.record.flags | FLAG_KEPT });
  change.kept.add(inode);
  return true;
}

/** Keeps a file of which the env has set attributes, and which would otherwise follow the templates. */
function keepTouched(change: StepChange, { ino }: Step, own: DeltaName): boolean {
  const { core } = change;
  const record = own.ino === ino ? core.delta.inode(ino as Ino) : null;
  if (record === null || record.data === DATA_PRIVATE || isDir(record.mode)) return change.isDone();
  if ((record.flags & FLAG_KEPT) !== 0) return change.isDone();
  const inode = core.inodes.load(record.ino);
  if (inode === null) return false;
  change.begin();
  core.tx.set(inode, { ...inode.record, flags: inode.record.flags | FLAG_KEPT });
  change.kept.add(inode);
  return true;
}

/** Pins the absence of a name, so that what a version brings there does not show in the env. */
export function hide(change: StepChange, { dir, name }: Step): boolean {
  const { core } = change;
  if (core.delta.name(dir, name) !== null) return change.isDone();
  if (core.lower.lookup(dir, name) !== null) return false;
  change.begin();
  core.tx.setName(dir, name, 0, HIDDEN);
  return true;
}
