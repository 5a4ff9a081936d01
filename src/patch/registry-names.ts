import { nameFromText } from '../base/ids.ts';
import type { LayersChange, NameChange } from '../fs/layers-change.ts';
import { isGenerated } from '../registry/generated.ts';
import { registryFormat } from '../registry/table.ts';
import { dirPath } from '../store/dir-path.ts';
import type { Store } from '../store/store.ts';

/** By the change, which is one for all envs that go the same way. */
const known = new WeakMap<LayersChange, readonly NameChange[]>();

/** Names of a change that are merged by key where an env has its own, or made by a command: few of many. */
export function registryNames(store: Store, change: LayersChange): readonly NameChange[] {
  let names = known.get(change);
  if (names === undefined) {
    names = [...find(store, change)];
    known.set(change, names);
  }
  return names;
}

function* find(store: Store, change: LayersChange): Generator<NameChange> {
  for (const [dir, names] of change.byDir) {
    const parent = dirPath(store.tables, dir);
    if (parent === null) continue;
    const bytes = nameFromText(parent);
    for (const each of names.values()) {
      const path = `${bytes}/${each.name}`;
      if (registryFormat(path) !== null || isGenerated(path)) yield each;
    }
  }
}
