/** Turns a recording into the tree of a version. */
import { closeSync, writeSync } from 'node:fs';
import type { Name } from '../../../base/ids.ts';
import { isDir, S_IFREG } from '../../../base/mode.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { ObjectWriter } from '../../../store/object-writer.ts';
import type { Store } from '../../../store/store.ts';
import { readChanges } from '../../sandbox/changed-tree.ts';
import { contentAt } from '../../templates/file-content.ts';
import { implicitDirectory, nodeAt, type OnProgress, type TreeNode } from '../../templates/tree.ts';
import { fileAt, recordAt } from '../../templates/walk-version.ts';
import { renumberTree } from '../build/assign-account-ids.ts';
import { listingPath, renderListing } from './listing.ts';
import type { Recording } from './recording.ts';
import { type Rules, rulingBy } from './rules.ts';

/** A path that the template has and the base lacks (A), or has differently (C). */
export interface Captured {
  readonly kind: 'A' | 'C';
  /** Absolute, a binary string. */
  readonly path: string;
  readonly node: TreeNode;
  readonly programs: readonly string[];
}

/** The inputs for the tree, beside the recording. */
export interface TreeParts {
  readonly name: string;
  readonly rules: Rules;
  readonly below: LowerTree;
  readonly writer: ObjectWriter;
  readonly progress: OnProgress;
  /** The time for what is written here (normaliseTimes). */
  readonly now: number;
}

/** The tree, and what is in it. */
export interface CapturedTree {
  readonly tree: TreeNode;
  /** By path, without the listing itself. */
  readonly captured: readonly Captured[];
}

/** Reads the tree. Its files are added to the writer, and the writer is finished. */
export async function readRecording(
  store: Store,
  { archive, accounts, programs }: Recording,
  { name, rules, below, writer, progress, now }: TreeParts,
): Promise<CapturedTree> {
  const rulingOf = rulingBy(rules);
  const tree = await readChanges(archive, below, {
    writer,
    rule: (member) => rulingOf(member).verdict,
    progress,
    finish: (each) => renumberTree(each, accounts),
  });
  for (const [file, content] of accounts.files) {
    const node = nodeAt(tree, file);
    if (node === null) continue;
    if (isAsBelow(store, below, file, node, content)) removeNode(tree, file);
    else await putContent(writer, node, content, node.mtime);
  }
  const captured = [...capturedIn(tree, '', below, programs)];
  if (captured.length > 0) {
    const node = placeFile(tree, listingPath(name));
    await putContent(writer, node, renderListing(captured), now);
  }
  await writer.finish();
  return { tree, captured };
}

/** Tests whether an account file is the same as the base's, which may be so after a password was left out. */
function isAsBelow(
  store: Store,
  below: LowerTree,
  file: string,
  { mode, uid, gid }: TreeNode,
  content: string,
): boolean {
  const record = fileAt(below, file);
  const isSame = record?.mode === mode && record.uid === uid && record.gid === gid;
  return isSame && contentAt(store, below, file) === content;
}

function removeNode(tree: TreeNode, path: string): void {
  const slash = path.lastIndexOf('/');
  nodeAt(tree, path.slice(0, slash))?.children?.delete(path.slice(slash + 1) as Name);
}

/** Yields all captured paths, except directories that only lead to others. */
function* capturedIn(
  dir: TreeNode,
  at: string,
  below: LowerTree,
  programs: Recording['programs'],
): Generator<Captured> {
  const entries = [...(dir.children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, node] of entries) {
    const path = `${at}/${name}`;
    const record = recordAt(below, path);
    const leads = record !== null && isDir(record.mode) && isDir(node.mode);
    if (!leads || node.ownAttributes === true) {
      const kind = record === null ? 'A' : 'C';
      yield { kind, path, node, programs: programs.get(path) ?? [] };
    }
    if (isDir(node.mode)) yield* capturedIn(node, path, below, programs);
  }
}

const namesOf = (path: string): Name[] => path.split('/').filter((part) => part !== '') as Name[];

/** Puts a new file in place of what is there; creates directories on the way. */
function placeFile(tree: TreeNode, path: string): TreeNode {
  const names = namesOf(path);
  const last = names.pop()!;
  let dir = tree;
  for (const name of names) {
    const child = dir.children?.get(name);
    const next = child?.children ? child : implicitDirectory();
    dir.children?.set(name, next);
    dir = next;
  }
  const node = { ...implicitDirectory(), mode: S_IFREG | 0o644, children: null };
  dir.children?.set(last, node);
  return node;
}

/** Stores a node's content. @param content a binary string */
async function putContent(
  writer: ObjectWriter,
  node: TreeNode,
  content: string,
  mtime: number,
): Promise<void> {
  const bytes = Buffer.from(content, 'latin1');
  node.size = bytes.length;
  node.mtime = mtime;
  node.object = '';
  if (bytes.length === 0) return;
  const { temp, fd } = writer.createTemp();
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  } finally {
    closeSync(fd);
  }
  const wait = writer.addTemp(temp, (id) => {
    node.object = id;
  });
  if (wait !== null) await wait;
}
