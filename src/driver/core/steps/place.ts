/** Makes steps that put a template's file, or nothing, under a name of the env's own. */
import type { Ino } from '../../../base/ids.ts';
import { isDir, isReg, S_IFMT } from '../../../base/mode.ts';
import { FLAG_UNSYNCED } from '../../../codec/inode-record.ts';
import { HIDDEN, type Step } from '../../../codec/steps.ts';
import { hasOwnName } from '../own-names.ts';
import type { StepChange } from './change.ts';
import { withAttributes } from './records.ts';

/** Puts a file of the env's own with a template file's bytes under a free name. */
export function place(change: StepChange, { dir, name, ino }: Step): boolean {
  const { core } = change;
  const from = change.lower.inode(ino as Ino);
  if (from === null || !isReg(from.mode)) return false;
  const own = core.delta.name(dir, name);
  if (own === null ? core.lower.lookup(dir, name) !== null : own.ino !== 0) return change.isDone();
  const made = {
    ...from,
    ino: core.delta.allocate(),
    nlink: 1,
    flags: from.flags & ~FLAG_UNSYNCED,
  };
  change.begin();
  core.tx.setNew(made);
  core.tx.setName(dir, name, made.ino, made.mode & S_IFMT);
  return true;
}

/** Puts a file of the env's own with a template file's bytes under a name, in place of the one that was compared. */
export function put(change: StepChange, step: Step): boolean {
  const { dir, name, ino, source, attributes } = step;
  const { core, lower } = change;
  const from = source === undefined ? null : lower.inode(source);
  if (from === null || isDir(from.mode)) return false;
  const like = { ...from, ...withAttributes(from, attributes) };
  const own = core.delta.name(dir, name);
  if ((own?.ino ?? 0) !== ino) return change.isLike(own?.ino ?? 0, like) ? change.isDone() : false;
  if (own === null && lower.lookup(dir, name) !== null) return false;
  const record = ino === 0 ? null : change.asCompared(ino, step);
  if (ino !== 0 && record === null) return false;
  change.begin();
  if (record !== null) change.loseName(record);
  change.setCopy(step, like);
  return true;
}

/** Hides a name, in place of the env's file there that was compared. */
export function mask(change: StepChange, step: Step): boolean {
  const { dir, name, ino } = step;
  const { core } = change;
  const own = core.delta.name(dir, name);
  if (own?.ino === 0 && own.type === HIDDEN) return change.isDone();
  if ((own?.ino ?? 0) !== ino) return false;
  const record = ino === 0 ? null : change.asCompared(ino, step);
  if (ino !== 0 && record === null) return false;
  const below = own === null ? core.lower.lookup(dir, name) : null;
  if (below !== null && isDir(below.mode) && hasOwnName(core.delta, below.ino)) return false;
  change.begin();
  if (record !== null) change.loseName(record);
  if (below !== null) change.leave(below);
  change.cleared.add(`${dir} ${name}`);
  core.tx.setName(dir, name, 0, HIDDEN);
  change.count(dir);
  return true;
}
