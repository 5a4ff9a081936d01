/** Makes steps that give the env's own directories back to the templates. */
import { type Ino, isPrivateIno, type Name } from '../../../base/ids.ts';
import { isDir } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import type { DirSteps, Step } from '../../../codec/steps.ts';
import { isOwnElsewhere } from '../names.ts';
import { hasOwnName, namesIn } from '../own-names.ts';
import type { StepChange } from './change.ts';

/** Gives a directory, in which the env has nothing, back to the templates; removes it if it is the env's own. */
export function release(change: StepChange, step: Step): boolean {
  const { dir, name, ino, ctime, ctimeNs } = step;
  const { core } = change;
  const own = core.delta.name(dir, name);
  const record = core.delta.inode(ino as Ino);
  if (record === null && own === null) return change.isDone();
  if (isPrivateIno(ino as Ino)) return own?.ino === ino && removeEmpty(change, step, record);
  // Looked up in the tree that the env sees now: the directory may be gone from the new one.
  const below = core.lower.lookup(dir, name);
  if (below?.ino !== ino || (own !== null && own.ino !== ino)) return false;
  if (record !== null && (record.ctime !== ctime || record.ctimeNs !== ctimeNs)) return false;
  if (hasOwnName(core.delta, below.ino)) return false;
  change.begin();
  if (own !== null) change.clearName(dir, name);
  change.count(dir);
  change.giveBack(below);
  return true;
}

/** Removes an empty directory of the env's own. */
function removeEmpty(
  change: StepChange,
  { dir, name, ino }: Step,
  record: InodeRecord | null,
): boolean {
  const { core } = change;
  if (record === null || core.delta.list(ino as Ino, 0, 1).length > 0) return false;
  change.begin();
  change.clearName(dir, name);
  change.count(dir);
  change.losing.set(record.ino, {
    record: { ...record, nlink: 0 },
    inode: core.inodes.peek(record.ino),
  });
  return true;
}

/**
 * Takes a directory of the env's own, with all in it, into the templates' directory of that name. Everything in it is
 * checked before anything is changed.
 */
export function dissolve(change: StepChange, { dir, name, ino, tree }: Step): boolean {
  const { core } = change;
  const own = core.delta.name(dir, name);
  if (own === null) return change.isDone();
  if (own.ino !== ino || tree === undefined || !isAsPlanned(change, tree)) return false;
  const below = change.lower.lookup(dir, name);
  if (
    (below?.ino ?? 0) !== tree.to ||
    (below !== null && isOwnElsewhere(core, { dir, name }, below))
  )
    return false;
  change.begin();
  change.clearName(dir, name);
  change.count(dir);
  empty(change, tree);
  return true;
}

function isAsPlanned(change: StepChange, { ino, to, relink, move, dirs }: DirSteps): boolean {
  const { core } = change;
  const planned = new Map<Name, Ino>();
  for (const each of relink) {
    if (change.asCompared(each.ino, each) === null) return false;
    planned.set(each.name, each.ino);
  }
  for (const each of move) {
    if (change.conflicts.has(each.ino)) return false;
    planned.set(each.name, each.ino);
  }
  for (const { name, tree } of dirs) {
    if (!isAsPlanned(change, tree)) return false;
    planned.set(name, tree.ino);
  }
  if (to !== 0 && (core.inodes.peek(to)?.gone ?? null) !== null) return false;
  const names = [...namesIn(core.delta, ino)];
  return (
    names.length === planned.size && names.every((each) => planned.get(each.name) === each.ino)
  );
}

function empty(change: StepChange, { ino, to, relink, move, dirs, remove, clear }: DirSteps): void {
  const { tx } = change.core;
  for (const each of relink) {
    change.clearName(ino, each.name);
    change.loseName(change.recordOf(each.ino)!);
  }
  for (const { name, tree } of dirs) {
    change.clearName(ino, name);
    empty(change, tree);
  }
  if (to !== 0) {
    change.count(to);
    const own = change.core.delta.inode(to);
    const below = change.lower.inode(to);
    // The env had removed the directory.
    if (own !== null && own.nlink === 0 && below !== null) change.giveBack(below);
    for (const name of clear) clearBelow(change, to, name);
    for (const name of remove) {
      tx.setName(to, name, 0, 0);
      change.touched.push({ dir: to, name });
    }
    for (const { name, ino: moved, type } of move) {
      change.clearName(ino, name);
      tx.setName(to, name, moved, type);
      change.movedInos.add(moved);
      change.touched.push({ dir: to, name });
      if (isDir(type)) hang(change, moved, to);
    }
  }
  const record = change.recordOf(ino);
  if (record !== null) {
    change.losing.set(ino, {
      record: { ...record, nlink: 0 },
      inode: change.core.inodes.peek(ino),
    });
  }
}

function clearBelow(change: StepChange, dir: Ino, name: Name): void {
  change.clearName(dir, name);
  change.touched.push({ dir, name });
}

function hang(change: StepChange, ino: Ino, parent: Ino): void {
  const record = change.recordOf(ino);
  if (record === null) return;
  const inode = change.core.inodes.peek(ino);
  const hung = { ...record, parent };
  if (inode === null) change.core.tx.setNew(hung);
  else change.core.tx.set(inode, hung);
}
