/** Finds what byref kept or hid in an env for packages that follow again. */
import { type Ino, isPrivateIno } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import { DATA_PRIVATE, FLAG_KEPT } from '../../codec/inode-record.ts';
import { type DirSteps, HIDDEN } from '../../codec/steps.ts';
import { namesIn } from '../../driver/core/own-names.ts';
import type { DirEntryRef } from '../../driver/core/ports.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { alternativePaths, changedChoices } from '../merge/alternatives.ts';
import type { EnvTree } from './env-tree.ts';
import { ALTERNATIVES_DIR, type PackagesOfStep } from './own-packages.ts';
import { isInfoOf } from './package-files.ts';

/**
 * Yields the places of what byref kept or hid for the released packages, a directory's before those of what is in it. What
 * the env has changed since is left out.
 * @param trees the env's, then those of the templates: only these show what is in a directory that byref hid
 */
export function* keptNames(
  view: DeltaView,
  trees: readonly EnvTree[],
  { released, infoDir }: Pick<PackagesOfStep, 'released' | 'infoDir'>,
): Generator<DirEntryRef> {
  if (released.length === 0) return;
  const paths = new Set(released.flatMap((each) => each.paths));
  const all = [...paths, ...alternatives(view, trees[0]!, paths)];
  for (const at of all) {
    for (const tree of trees) {
      const found = tree.find(at);
      if (found !== null && isByrefs(view, found)) yield found;
    }
  }
  if (infoDir === null) return;
  for (const { name } of [...namesIn(view, infoDir)]) {
    const place = { dir: infoDir, name };
    if (released.some((each) => isInfoOf(each.name, name)) && isByrefs(view, place)) yield place;
  }
}

/**
 * Plans the end of a directory that no version of the templates has at that place any longer, and that the env had only
 * for what byref kept in it. All of it goes. Null if there is something else in it.
 */
export function keptDir(view: DeltaView, ino: Ino): DirSteps | null {
  const relink: DirSteps['relink'][number][] = [];
  const dirs: DirSteps['dirs'][number][] = [];
  const move: DirSteps['move'][number][] = [];
  for (const { name, ino: own, type } of namesIn(view, ino)) {
    if (!isByrefs(view, { dir: ino, name })) return null;
    // A whiteout can't be among what goes with the directory; the caller handles it afterwards.
    if (own === 0) move.push({ name, ino: 0 as Ino, type });
    else if (isDir(type)) {
      const tree = keptDir(view, own);
      if (tree === null) return null;
      dirs.push({ name, tree });
    } else {
      const { ctime, ctimeNs } = view.inode(own)!;
      relink.push({ name, ino: own, ctime, ctimeNs });
    }
  }
  return { ino, to: 0, relink, move, dirs, remove: [], clear: [] };
}

function isByrefs(view: DeltaView, { dir, name }: DirEntryRef): boolean {
  const own = view.name(dir, name);
  if (own === null) return false;
  if (own.ino === 0) return own.type === HIDDEN;
  // A template's directory, which is there only for what is in it.
  if (isDir(own.type)) return !isPrivateIno(own.ino);
  const record = view.inode(own.ino);
  return record !== null && (record.flags & FLAG_KEPT) !== 0 && record.data !== DATA_PRIVATE;
}

/** Returns the state files and links of those alternatives of which one of these paths is a choice. */
function alternatives(view: DeltaView, tree: EnvTree, paths: ReadonlySet<string>): string[] {
  const dir = tree.find(`${ALTERNATIVES_DIR}/.`)?.dir;
  if (dir === undefined) return [];
  return [...namesIn(view, dir)].flatMap(({ name }) => {
    const file = `${ALTERNATIVES_DIR}/${name}`;
    const content = tree.content(file) ?? '';
    const isOne = changedChoices('', content).some((each) => paths.has(each));
    return isOne ? [file, ...alternativePaths(name, content)] : [];
  });
}
