/**
 * Computes the tree diff between two stacks. It is read from the index of changes, so that it costs what
 * changed, not what the templates hold.
 */
import type { Ino, Name } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import { decodeHistory } from '../codec/link-history.ts';
import { entriesOf } from '../driver/core/lower-entries.ts';
import type { LowerTree } from '../driver/core/ports.ts';
import { type DiffEntry, TreeDiff } from '../driver/core/tree-diff.ts';
import { allNames, type ChangedName, changedNames } from './changed-names.ts';
import { linkDir, linkName } from './keys.ts';
import { ABOVE_ROOT } from './link-rows.ts';
import type { Tables } from './tables.ts';
import type { StackRef } from './tree-cache.ts';

/** One side of a comparison: a stack, and its lower tree. */
export interface StackSide {
  readonly stack: readonly StackRef[];
  readonly lower: LowerTree;
}

/** Returns what differs between two stacks, name by name. */
export function diffStacks(tables: Tables, from: StackSide, to: StackSide): TreeDiff {
  const names = new Names(from.lower, to.lower);
  let root = false;
  for (const { dir, name } of namesBetween(tables, from.stack, to.stack)) {
    if (dir === ABOVE_ROOT || name === '') root = true;
    else names.compare(dir, name);
  }
  if (from.stack.length > 1) names.addHidden();
  return new TreeDiff(from.lower, to.lower, [...names.changes()], root);
}

/** The names compared so far, each once, with their difference; null where both sides are the same. */
class Names {
  private readonly from: LowerTree;
  private readonly to: LowerTree;
  private readonly byDir = new Map<Ino, Map<Name, DiffEntry | null>>();

  constructor(from: LowerTree, to: LowerTree) {
    this.from = from;
    this.to = to;
  }

  compare(dir: Ino, name: Name): void {
    if (this.byDir.get(dir)?.has(name)) return;
    const was = this.from.lookup(dir, name);
    const is = this.to.lookup(dir, name);
    this.set({ dir, name, was, is });
  }

  private set(change: DiffEntry): void {
    const siblings = this.byDir.get(change.dir) ?? new Map<Name, DiffEntry | null>();
    this.byDir.set(change.dir, siblings.set(change.name, differs(change) ? change : null));
  }

  *changes(): Generator<DiffEntry> {
    for (const names of this.byDir.values()) {
      for (const change of names.values()) if (change !== null) yield change;
    }
  }

  /**
   * Adds names below a directory that one side does not show although its templates have it: another template
   * has something else in its place. No index lists these, so such directories are walked; they are rare.
   */
  addHidden(): void {
    for (const { was, is } of [...this.changes()]) {
      const [before, after] = [dirOf(was), dirOf(is)];
      if (before !== null && after === null) this.hide(before, this.from, this.to, 'is');
      if (after !== null && before === null) this.hide(after, this.to, this.from, 'was');
    }
  }

  /**
   * Adds all names below a directory that only one side shows.
   * @param side the one of the two that does not show it
   */
  private hide(dir: Ino, shown: LowerTree, hidden: LowerTree, side: 'was' | 'is'): void {
    if (hidden.list(dir, 0, 1).length === 0) return;
    const names = new Set(this.byDir.get(dir)?.keys());
    for (const { name } of entriesOf(shown, dir)) names.add(name);
    for (const name of names) {
      const record = shown.lookup(dir, name);
      this.set({ dir, name, was: record, is: record, [side]: null, hidden: true });
      if (record !== null && isDir(record.mode)) this.hide(record.ino, shown, hidden, side);
    }
  }
}

const dirOf = (record: InodeRecord | null): Ino | null =>
  record !== null && isDir(record.mode) ? record.ino : null;

/**
 * Tells whether an entry is a real difference. A file has a different ino in each version that changed it; a
 * directory keeps the ino of its path.
 */
function differs({ was, is }: DiffEntry): boolean {
  if (was === null || is === null) return was !== is;
  if (isDir(was.mode) && isDir(is.mode)) return was !== is;
  return was.ino !== is.ino;
}

function* namesBetween(
  tables: Tables,
  from: readonly StackRef[],
  to: readonly StackRef[],
): Generator<ChangedName> {
  const before = new Map(from.map(({ templateId, version }) => [templateId, version]));
  const after = new Map(to.map(({ templateId, version }) => [templateId, version]));
  for (const template of new Set([...before.keys(), ...after.keys()])) {
    const was = before.get(template);
    const is = after.get(template);
    if (was === is) continue;
    if (was === undefined || is === undefined) yield* allNames(tables, template);
    else yield* changedNames(tables, template, Math.min(was, is), Math.max(was, is));
  }
}

/**
 * Yields the rows that `changes` should have, from every version that a name's history mentions: for a root of
 * format 1, which lacks the table.
 */
export function* changesInHistories(
  tables: Tables,
): Generator<ChangedName & { template: number; version: number }> {
  for (const { key, value } of tables.table('links').getRange({})) {
    const name = { dir: linkDir(key), name: linkName(key), template: key.readUInt32BE(0) };
    for (const { version } of decodeHistory(value)) yield { ...name, version };
  }
}
