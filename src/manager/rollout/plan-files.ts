/** Plans what a patch does in one env to a name that the env has of its own. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { type BytePath, joinPath, pathFromText } from '../../base/ids.ts';
import { isDir, isReg } from '../../base/mode.ts';
import { FLAG_KEPT, type InodeRecord } from '../../codec/inode-record.ts';
import type { FileAction } from '../../codec/patch-record.ts';
import { HIDDEN, makeStep } from '../../codec/steps.ts';
import { ctimeIsNewer } from '../../driver/core/blob-stat.ts';
import { touchedOnly } from '../../driver/core/follow.ts';
import type { DeltaName } from '../../driver/core/ports.ts';
import type { DiffEntry } from '../../driver/core/tree-diff.ts';
import { envDir } from '../../store/store.ts';
import { dpkgDistSteps } from '../packages/dpkg-dist.ts';
import { planAction } from './plan-actions.ts';
import { type PlanDraft, pathOf } from './plan-draft.ts';

/** Plans a changed name that the env has an entry of its own for, or has removed. */
export async function planName(
  draft: PlanDraft,
  change: DiffEntry,
  name: DeltaName,
): Promise<void> {
  const { dir, was, is } = change;
  if (!draft.isNew(change)) return;
  // Byref's own entry stays, unless it belongs to a package that follows.
  const { packages } = draft;
  const isKept = isByrefs(draft, name) && packages.isKeptForOwn(change);
  if (isKept && !packages.isFollowing(change)) return;
  // dpkg removed it in the env when the package was another version; it did not have it then, or no longer has it.
  const isGone = name.ino === 0 && (was === null || is === null);
  if (isGone && draft.packages.isFollowing(change)) {
    draft.steps.push(makeStep('relink', change, 0));
    return;
  }
  // A template's directory that the env keeps, or has moved and moved back, follows.
  if (name.ino !== 0 && name.ino === was?.ino && name.ino === is?.ino) return;
  // So does a file of which the env has only set attributes.
  if (touchedOnly(draft.own, change) !== null) return;
  if (await relinkIfOfPackage(draft, change, name)) return;
  const own = name.ino === 0 || isDir(name.type) ? null : draft.view.inode(name.ino);
  if (own !== null && (await draft.relinks.shareWithOrigin(change, own))) return;
  const parent = own === null ? null : pathOf(draft.store, draft.change, dir);
  if (own === null || parent === null) return;
  await planFile(draft, change, own, joinPath(pathFromText(parent), change.name));
}

/** True for a name that byref itself hid, or kept as it was. */
function isByrefs(draft: PlanDraft, { ino, type }: DeltaName): boolean {
  if (ino === 0) return type === HIDDEN;
  return ((draft.view.inode(ino)?.flags ?? 0) & FLAG_KEPT) !== 0;
}

/**
 * Relinks a name if byref hid it, a package that follows has it, or programs write it anew. Other files of no package go
 * path by path: what the env has made its own of them stays, until `byref relink`.
 */
async function relinkIfOfPackage(
  draft: PlanDraft,
  change: DiffEntry,
  own: DeltaName,
): Promise<boolean> {
  const isOurs = own.ino === 0 && own.type === HIDDEN;
  if (!isOurs && !draft.packages.isFollowing(change) && !draft.isMade(change)) return false;
  return draft.relinks.add(change, own);
}

/** Plans what becomes of an own file by the policies for its path. @param bytes its absolute path, as a binary string */
export async function planFile(
  draft: PlanDraft,
  change: DiffEntry,
  own: InodeRecord,
  bytes: BytePath,
): Promise<void> {
  const { store, row, options, packages } = draft;
  const file = `merge.${options.patch}.${draft.acts.length}`;
  const action = (own.flags & FLAG_KEPT) !== 0 ? 'take' : draft.policy(bytes);
  const wanted = { change, own, bytes, action, file };
  const act = await planAction(store, row, wanted, (format, contents) => {
    const { ours } = contents;
    const { base, theirs } = packages.mergeSides(format, bytes, contents, ours);
    return { ours, base, theirs: theirs ?? '' };
  });
  if (act === null) planConffile(draft, change, own, bytes);
  else if (act.what === 'updated' && act.merged?.sha256 === change.is?.object) {
    relinkMerged(draft, change, own, act);
  } else draft.acts.push(act);
}

/** Where the merge equals the templates' file, the env no longer needs a file of its own. */
function relinkMerged(
  draft: PlanDraft,
  change: DiffEntry,
  own: InodeRecord,
  act: FileAction,
): void {
  const { is } = change;
  const isAlike = own.mode === is?.mode && own.uid === is.uid && own.gid === is.gid;
  if (act.seen === undefined || !isAlike || act.file === undefined) {
    draft.acts.push(act);
    return;
  }
  rmSync(path.join(envDir(draft.store.root, draft.row.id), act.file), { force: true });

  draft.steps.push(
    makeStep('relink', change, own.ino, ctimeIsNewer(own, act.seen) ? act.seen : own),
  );
}

/** Puts the package's configuration file beside the one that the administrator has changed. */
function planConffile(
  draft: PlanDraft,
  change: DiffEntry,
  own: InodeRecord,
  bytes: BytePath,
): void {
  if (!isReg(own.mode) || !draft.packages.isConffile(bytes)) return;
  draft.steps.push(...dpkgDistSteps(draft.view, change, change.was, change.is));
}
