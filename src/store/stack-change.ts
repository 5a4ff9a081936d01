/** What changes for an env that goes from one stack to another: read from the index of changes, not by comparing. */
import type { Ino, Name } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import { decodeHistory } from '../codec/link-history.ts';
import { LayersChange, type NameChange } from '../fs/layers-change.ts';
import type { Layers } from '../fs/ports.ts';
import { allNames, type ChangedName, changedNames } from './changed-names.ts';
import { linkDir, linkName } from './keys.ts';
import type { StackRef } from './layer-cache.ts';
import { ABOVE_ROOT } from './link-rows.ts';
import type { Tables } from './tables.ts';

/** One side of a change: the stack, and its layers. */
export interface StackSide {
  readonly stack: readonly StackRef[];
  readonly layers: Layers;
}

export function stackChange(tables: Tables, from: StackSide, to: StackSide): LayersChange {
  const changes: NameChange[] = [];
  const seen = new Map<Ino, Set<Name>>();
  let root = false;
  for (const { dir, name } of namesBetween(tables, from.stack, to.stack)) {
    if (dir === ABOVE_ROOT || name === '') {
      root = true;
      continue;
    }
    const siblings = seen.get(dir) ?? new Set<Name>();
    if (siblings.has(name)) continue;
    seen.set(dir, siblings.add(name));
    const change = {
      dir,
      name,
      was: from.layers.lookup(dir, name),
      is: to.layers.lookup(dir, name),
    };
    if (differs(change)) changes.push(change);
  }
  return new LayersChange(from.layers, to.layers, changes, root);
}

/** A file has another ino in each version that changed it; a directory keeps the one of its path. */
function differs({ was, is }: NameChange): boolean {
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

/** Rows of `changes` for a root that has none yet: every version that a name's history mentions. */
export function* changesInHistories(
  tables: Tables,
): Generator<ChangedName & { template: number; version: number }> {
  for (const { key, value } of tables.table('links').getRange({})) {
    const name = { dir: linkDir(key), name: linkName(key), template: key.readUInt32BE(0) };
    for (const { version } of decodeHistory(value)) yield { ...name, version };
  }
}
