/** Compares what dpkg says in an env about the env's own packages with the files that the env shows. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToText } from '../../../base/ids.ts';
import { isDir, isReg } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import type { DeltaView } from '../../../driver/delta/read-delta.ts';
import { isPresent, ownPackages, type PackageRecord, type Packages } from '../../merge/packages.ts';
import { EnvTree } from '../../packages/env-tree.ts';
import { ownStatus } from '../../packages/own-packages.ts';
import { checksumsOf, filesOf, packagesIn } from '../../packages/package-files.ts';
import { type DeltaFound, deltaDamage } from './delta-finding.ts';
import type { CheckedEnv, DeltaJob } from './delta-job.ts';

/**
 * Checks the packages of an env. A package that follows the templates has its record and its files from them.
 * For an own package, files that come from the templates must be as in the env's version, and no file may show
 * that only the templates' version has.
 */
export function* checkPackages(
  env: DeltaJob,
  { row }: CheckedEnv,
  view: DeltaView,
): Generator<DeltaFound> {
  const { store, doubtful } = env.job;
  if (row === null || doubtful) return;
  const lower = store.lowerTree(store.resolveStack(row));
  const tree = new EnvTree(store, lower, { id: row.id, view });
  const ours = ownStatus(tree, view);
  if (ours === null) return;
  const below = new EnvTree(store, lower, null);
  const theirs = packagesIn(below);
  for (const key of ownPackages({ base: theirs, ours, theirs }).keys()) {
    const mine = ours.get(key) ?? null;
    if (isPresent(mine)) yield* wrongFiles(env, view, tree, mine);
    yield* strangeFiles({ env, view, tree, below }, mine, theirs.get(key) ?? null, ours);
  }
}

function* wrongFiles(
  env: DeltaJob,
  view: DeltaView,
  tree: EnvTree,
  mine: PackageRecord,
): Generator<DeltaFound> {
  const listed = new Set(filesOf(tree, mine));
  for (const [path, sum] of checksumsOf(tree, mine)) {
    // If it is not listed, another package has replaced it.
    const at = listed.has(path) ? tree.find(path) : null;
    if (at === null || view.name(at.dir, at.name) !== null) continue;
    const { record } = at;
    // The env changed it.
    if (record === null || !isReg(record.mode) || view.inode(record.ino) !== null) continue;
    if (md5Of(tree, record) === sum) continue;
    const what = `it is the template's, and dpkg has ${mine.name} ${mine.version} in the env`;
    yield found(env, path, what, mine.name);
  }
}

interface Trees {
  readonly env: DeltaJob;
  readonly view: DeltaView;
  readonly tree: EnvTree;
  /** The templates alone. */
  readonly below: EnvTree;
}

function* strangeFiles(
  { env, view, tree, below }: Trees,
  mine: PackageRecord | null,
  template: PackageRecord | null,
  ours: Packages,
): Generator<DeltaFound> {
  if (template === null) return;
  const known = new Set(filesOf(tree, mine));
  const strange = filesOf(below, template).filter((path) => {
    const at = known.has(path) ? null : tree.find(path);
    const record = at?.record ?? null;
    return record !== null && !isDir(record.mode) && view.name(at!.dir, at!.name) === null;
  });
  if (strange.length === 0) return;
  const others = new Set([...ours.values()].flatMap((record) => filesOf(tree, record)));
  const { name, version } = template;
  for (const path of strange) {
    if (others.has(path)) continue;
    const what = `it is of ${name} ${version} of the template, which the env does not have`;
    yield found(env, path, what, name);
  }
}

function found(env: DeltaJob, path: string, what: string, name: string): DeltaFound {
  const remedy = `install ${name} again in the env, or hand it over with the next patch: --take-package ${name}`;
  return deltaDamage('delta.packages', env.where(pathToText(path)), what, remedy);
}

function md5Of(tree: EnvTree, record: InodeRecord): string | null {
  const file = tree.fileOf(record);
  try {
    const bytes = file === null ? Buffer.alloc(0) : readFileSync(file);
    return createHash('md5').update(bytes).digest('hex');
  } catch {
    // A missing object is another check's finding.
    return null;
  }
}
