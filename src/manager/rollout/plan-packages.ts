/** Plans what a patch does in one env to packages as a whole: those taken over, released, replaced, or the same already. */
import path from 'node:path';
import { type Ino, isPrivateIno, pathFromText, pathToText } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import { type DirSteps, makeStep, type Step } from '../../codec/steps.ts';
import { ctimeIsNewer } from '../../driver/core/blob-stat.ts';
import { namesIn } from '../../driver/core/own-names.ts';
import type { DeltaName, DirEntryRef } from '../../driver/core/ports.ts';
import { envDir } from '../../store/store.ts';
import { type PackageRecord, STATUS_PATH } from '../merge/packages.ts';
import { EnvTree } from '../packages/env-tree.ts';
import { keptDir, keptNames } from '../packages/kept-names.ts';
import { INFO_DIR, isInfoOf, listPathOf } from '../packages/package-files.ts';
import { isAsUnpacked } from '../packages/replaced-files.ts';
import { seenFile, sha256 } from '../packages/same-file.ts';
import { privateFile } from './meets.ts';
import { writeDurably } from './plan-actions.ts';
import { type PlanDraft, placeOf } from './plan-draft.ts';
import { planFile } from './plan-files.ts';

/** Files that may hold records of packages that follow again. */
const RECORDS = [
  STATUS_PATH,
  '/var/lib/apt/extended_states',
  '/var/lib/dpkg/diversions',
  '/var/lib/dpkg/triggers/File',
  '/var/lib/ucf/registry',
].map(pathFromText);

/** Takes over all that the env has of the packages that policies hand to the templates. */
export async function takePackages(draft: PlanDraft): Promise<void> {
  const { packages, view } = draft;
  for (const { name, paths } of packages.taken) {
    for (const at of paths) {
      const found = draft.tree.find(at);
      const own = found === null ? null : view.name(found.dir, found.name);
      if (found !== null && own !== null) await takeName(draft, name, found, own, at);
    }
    if (packages.infoDir === null) continue;
    for (const own of [...namesIn(view, packages.infoDir)]) {
      if (!isInfoOf(name, own.name)) continue;
      const place = { dir: packages.infoDir, name: own.name };
      await takeName(draft, name, place, own, `${INFO_DIR}/${own.name}`);
    }
  }
}

async function takeName(
  draft: PlanDraft,
  of: string,
  place: DirEntryRef,
  own: DeltaName,
  at: string,
): Promise<void> {
  if (!draft.isNew(place)) return;
  const { dir, name } = place;
  if (own.ino === 0) {
    draft.steps.push(makeStep('relink', place, 0));
    return;
  }
  const [was, is] = [draft.change.from.lookup(dir, name), draft.change.to.lookup(dir, name)];
  const isSame = await draft.relinks.add({ dir, name, was, is }, own);
  if (isSame) return;
  if (isDir(own.type)) {
    draft.relinks.addOwnDir(place, own.ino);
    return;
  }
  const base = { path: pathToText(at), dir, name, ino: own.ino, done: false };
  draft.acts.push({ ...base, what: 'taken', package: of });
}

/**
 * Gives up what byref kept or hid for packages that follow again. The env's own changes to their files are treated like
 * changes to any other file.
 */
export async function releasePackages(draft: PlanDraft): Promise<void> {
  const { from, to } = draft.change;
  const templates = [from, to].map((lower) => new EnvTree(draft.store, lower, null));
  for (const place of keptNames(draft.view, [draft.tree, ...templates], draft.packages)) {
    const own = draft.view.name(place.dir, place.name)!;
    if (isDir(own.type)) await releaseDir(draft, place, own);
    else if (own.ino === 0) await draft.relink(place, own);
    else if (draft.isNew(place)) releaseFile(draft, place, own.ino);
  }
  if (draft.packages.released.length > 0) await planSharedFiles(draft);
}

/** Lets a file that byref kept follow again. Attributes that the env has set stay. */
function releaseFile(draft: PlanDraft, place: DirEntryRef, ino: Ino): void {
  const own = draft.view.inode(ino)!;
  const is = draft.change.to.lookup(place.dir, place.name);
  const isShared = own.nlink === 1 && (is === null || (is.nlink === 1 && !isDir(is.mode)));
  const step = makeStep(isShared ? 'share' : 'relink', place, ino, own);
  draft.steps.push(isShared ? { ...step, like: ino } : step);
}

async function releaseDir(draft: PlanDraft, place: DirEntryRef, own: DeltaName): Promise<void> {
  const { from, to } = draft.change;
  const isThere = [from, to].some((lower) => lower.lookup(place.dir, place.name) !== null);
  const tree = isThere || own.ino === 0 ? null : keptDir(draft.view, own.ino);
  if (tree === null) await draft.relink(place, own);
  else if (draft.isNew(place)) {
    draft.steps.push({ ...makeStep('dissolve', place, own.ino), tree });
    seeAll(draft, tree);
  }
}

function seeAll(draft: PlanDraft, { ino, relink, move, dirs }: DirSteps): void {
  for (const { name } of [...relink, ...dirs]) draft.seen.add(placeOf({ dir: ino, name }));
  for (const { name } of move)
    if (draft.isNew({ dir: ino, name }))
      draft.steps.push(makeStep('relink', { dir: ino, name }, 0));
  for (const { tree } of dirs) seeAll(draft, tree);
}

/** Moves the records of packages that follow again along, even where the templates' record files do not change. */
async function planSharedFiles(draft: PlanDraft): Promise<void> {
  for (const at of RECORDS) {
    const found = draft.tree.find(at);
    const own = found === null ? null : draft.view.name(found.dir, found.name);
    if (found === null || own === null || own.ino === 0 || isDir(own.type)) continue;
    const { dir, name } = found;
    const [was, is] = [draft.change.from.lookup(dir, name), draft.change.to.lookup(dir, name)];
    const record = draft.view.inode(own.ino);
    if (record !== null && is !== null && draft.isNew(found))
      await planFile(draft, { dir, name, was, is }, record, at);
  }
}

/**
 * Handles files of the env's own packages that packages which follow replace: the templates' files show, and dpkg's lists
 * of the env's packages no longer name them. Returns the steps to make before.
 */
export async function planReplaced(draft: PlanDraft): Promise<Step[]> {
  const before: Step[] = [];
  for (const { record, paths } of draft.packages.replaced.values()) {
    for (const path of paths) {
      const found = draft.tree.find(path);
      const own = found === null ? null : draft.view.name(found.dir, found.name);
      if (own === null || own.ino === 0 || !isAsUnpacked(draft.tree, record, path)) continue;
      if (draft.isNew(found!)) relinkWhatever(draft, found!, own.ino);
    }
    before.push(...(await planShorterList(draft, record, paths)));
  }
  return before;
}

function relinkWhatever(draft: PlanDraft, place: DirEntryRef, ino: Ino): void {
  const record = draft.view.inode(ino);
  if (record === null) return;
  const seen = seenFile(privateFile(draft.store, draft.row, ino));
  const shown = seen !== null && ctimeIsNewer(record, seen) ? seen : record;
  draft.steps.push(makeStep('relink', place, ino, shown));
}

async function planShorterList(
  draft: PlanDraft,
  record: PackageRecord,
  without: ReadonlySet<string>,
): Promise<Step[]> {
  const at = listPathOf(draft.tree, record);
  const found = at === null ? null : draft.tree.find(at);
  if (at === null || found?.record == null) return [];
  const lines = draft.tree.contentOf(found.record)?.split('\n') ?? [];
  const own = draft.view.name(found.dir, found.name);
  const { dir, name } = found;
  const { ino } = found.record;
  const file = `merge.${draft.options.patch}.${draft.acts.length}`;
  const target = path.join(envDir(draft.store.root, draft.row.id), file);
  const text = lines.filter((line) => !without.has(line)).join('\n');
  writeDurably(target, Buffer.from(text, 'latin1'));
  const merged = { ino: 0, sha256: await sha256(target) };
  const seen = seenFile(privateFile(draft.store, draft.row, ino));
  const base = { path: pathToText(at), dir, name, ino, done: false };
  draft.acts.push({ ...base, what: 'updated', file, merged, ...(seen === null ? {} : { seen }) });
  return own === null ? [makeStep('keep', { dir, name }, ino)] : [];
}

/** Relinks packages that the env already has in the version that comes, including files that do not change. */
export async function planSamePackages(draft: PlanDraft): Promise<void> {
  const { packages, view } = draft;
  if (packages.sameNames.length === 0) return;
  for (const at of packages.samePaths) {
    const found = draft.tree.find(at);
    const own = found === null ? null : view.name(found.dir, found.name);
    if (found === null || isPrivateIno(found.dir)) continue;
    if (own === null) draft.relinks.addTouchedDir(found);
    else if (own.ino !== 0) await draft.relink(found, own);
  }
  if (packages.infoDir === null) return;
  for (const own of namesIn(view, packages.infoDir)) {
    const isOfOne = packages.sameNames.some((name) => isInfoOf(name, own.name));
    if (isOfOne && own.ino !== 0)
      await draft.relink({ dir: packages.infoDir, name: own.name }, own);
  }
}

/**
 * Relinks directories that the env made anew and that lie over a template's directory in which something changes, if a
 * package that follows has them.
 */
export async function planCoveredDirs(draft: PlanDraft): Promise<void> {
  for (const dir of draft.change.byDir.keys()) {
    const place = draft.change.placeOf(dir);
    const own = place === null ? null : draft.view.name(place.dir, place.name);
    if (own === null || own.ino === 0 || own.ino === dir) continue;
    if (draft.packages.isFollowing(place!)) await draft.relink(place!, own);
  }
}
