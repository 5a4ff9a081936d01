/** Reads what was changed in a scratch env, as the tree of a template that goes on top of the env's stack. */
import { lstatSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Ino, ROOT_INO } from '../../base/ids.ts';
import { isDir, isReg } from '../../base/mode.ts';
import { failureOf, runProgram } from '../../base/run-program.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import type { ObjectWriter } from '../../store/object-writer.ts';
import type { Store } from '../../store/store.ts';
import { changedPaths } from '../envs/diff.ts';
import { readArchive } from '../templates/import.ts';
import type { MemberRule } from '../templates/read-tar.ts';
import type { OnProgress, TreeNode } from '../templates/tree.ts';
import { recordAt } from '../templates/walk-version.ts';
import type { ScratchEnv } from './scratch-env.ts';

/** The changes of a scratch env, in a file. */
export interface ChangedArchive {
  /** The path of a tar with all that was added or changed, and with the directories that lead there. */
  readonly file: string;
  /** Paths that the env's templates have and that were removed: absolute binary strings, sorted. */
  readonly removed: readonly string[];
}

const OUTPUT_MAX = 2 ** 20;

/**
 * Archives what was changed in a scratch env. Nothing may change in the env meanwhile.
 * @param dir for the archive
 * @param isWanted tells whether an absolute path is to be archived; by default all changes are
 */
export async function archiveChanges(
  store: Store,
  { row, mountpoint }: ScratchEnv,
  dir: string,
  isWanted: (path: string) => boolean = () => true,
): Promise<ChangedArchive> {
  const changes = (await changedPaths(store, row)).filter((change) => isWanted(change.path));
  const paths = new Set(['/']);
  const below = store.lowerTree(store.resolveStack(row));
  const looked = new Set<string>();
  for (const { kind, path: changed } of changes) {
    if (kind === 'D') continue;
    addWithParents(paths, changed);
    addMovedBelow(paths, mountpoint, changed, below, looked);
  }
  const file = path.join(dir, 'changes.tar');
  const list = path.join(dir, 'changes');
  // Sorted, so that directories come before what is in them.
  const members = [...paths].sort().map((each) => `.${each}\0`);
  writeFileSync(list, members.join(''), 'latin1');
  const words = [
    'tar',
    ...['--create', '--file', file, '--format=posix', '--numeric-owner', '--sparse'],
    // ACLs are archived as attributes, which hold numbers: --acls would name this machine's accounts.
    ...['--xattrs', '--xattrs-include=*', '--warning=no-file-ignored'],
    ...['--directory', mountpoint, '--no-recursion', '--null', '--verbatim-files-from'],
    ...['--files-from', list],
  ];
  const env = { ...process.env, LC_ALL: 'C' };
  const ended = await runProgram(words, { outputMax: OUTPUT_MAX, ofMore: 'end', env });
  if (ended.code !== 0) throw new Error(`tar failed: ${failureOf(words, ended)}`);
  const removed = changes.filter(({ kind }) => kind === 'D').map((each) => each.path);
  return { file, removed: removed.sort() };
}

/**
 * Adds what is below a moved directory. A moved directory counts as one change; its contents do not.
 * @param looked directories that were looked into already
 */
function addMovedBelow(
  paths: Set<string>,
  root: string,
  changed: string,
  below: LowerTree,
  looked: Set<string>,
): void {
  if (looked.has(changed)) return;
  const full = Buffer.from(root + changed, 'latin1');
  const stat = lstatSync(full);
  if (!stat.isDirectory() || recordAt(below, changed)?.ino === stat.ino) return;
  looked.add(changed);
  for (const name of readdirSync(full, 'latin1')) {
    const child = `${changed}/${name}`;
    paths.add(child);
    addMovedBelow(paths, root, child, below, looked);
  }
}

function addWithParents(paths: Set<string>, changed: string): void {
  for (let at = changed; at !== '' && !paths.has(at); at = at.slice(0, at.lastIndexOf('/'))) {
    paths.add(at);
  }
}

/** How readChanges() reads an archive. */
export interface ReadParts {
  readonly writer: ObjectWriter;
  readonly rule: MemberRule;
  readonly progress: OnProgress;
  /** Adjusts the attributes of the tree before they are compared. */
  readonly finish: (tree: TreeNode) => void;
}

/** Reads the archive as a tree, without what is the same in `below`: see `prune`. */
export async function readChanges(
  { file }: ChangedArchive,
  below: LowerTree,
  { writer, rule, progress, finish }: ReadParts,
): Promise<TreeNode> {
  const tree = await readArchive(file, writer, progress, (member) => {
    const what = rule(member);
    // A file that is emptied is not the template's: if there is one below, that one shows.
    return what === 'empty' && recordAt(below, member) !== null ? 'leave-out' : what;
  });
  finish(tree);
  prune(tree, below);
  return tree;
}

/**
 * Takes out what is the same below except for its times. A file is taken out under all its names or not at all, and a
 * directory if nothing is left in it. A directory that exists below and differs is marked, because its attributes count.
 */
export function prune(tree: TreeNode, below: LowerTree): void {
  const changed = new Set<TreeNode>();
  findChanged(tree, ROOT_INO, below, changed);
  pruneDir(tree, ROOT_INO, below, changed);
}

function findChanged(
  dir: TreeNode,
  ino: Ino | null,
  below: LowerTree,
  changed: Set<TreeNode>,
): void {
  for (const [name, node] of dir.children ?? []) {
    const record = ino === null ? null : below.lookup(ino, name);
    if (node.children !== null) findChanged(node, dirOf(record), below, changed);
    if (record === null || !sameAs(record, node)) changed.add(node);
  }
}

function pruneDir(dir: TreeNode, ino: Ino | null, below: LowerTree, changed: Set<TreeNode>): void {
  const { children } = dir;
  if (children === null) return;
  for (const [name, node] of [...children]) {
    const record = ino === null ? null : below.lookup(ino, name);
    const inDir = dirOf(record);
    if (node.children !== null) pruneDir(node, inDir, below, changed);
    if (inDir !== null && changed.has(node)) node.ownAttributes = true;
    if (!changed.has(node) && (node.children?.size ?? 0) === 0) children.delete(name);
  }
}

const dirOf = (record: InodeRecord | null): Ino | null =>
  record !== null && isDir(record.mode) ? record.ino : null;

function sameAs(record: InodeRecord, node: TreeNode): boolean {
  if (record.mode !== node.mode || record.uid !== node.uid || record.gid !== node.gid) return false;
  if (isReg(node.mode) && (record.size !== node.size || record.object !== node.object)) {
    return false;
  }
  return (
    record.rdev === node.rdev &&
    record.target === node.target &&
    sameXattrs(record.xattrs, node.xattrs)
  );
}
