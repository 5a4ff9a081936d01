/** The plan of one env while it is being made: what is known of the env, and what was planned so far. */
import path from 'node:path';
import { type Ino, joinPath, pathFromText } from '../../base/ids.ts';
import type { FileAction, Policy } from '../../codec/patch-record.ts';
import { encodeSteps, type Step } from '../../codec/steps.ts';
import type { OwnRecords } from '../../driver/core/follow.ts';
import type { DeltaName, DirEntryRef } from '../../driver/core/ports.ts';
import type { TreeDiff } from '../../driver/core/tree-diff.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { EnvTree } from '../packages/env-tree.ts';
import { type EnvOnTheWay, PackagesOfStep } from '../packages/own-packages.ts';
import { Relinks } from '../packages/relinks.ts';
import type { Decided } from './decide-completing.ts';
import { takenPackages } from './package-policy.ts';
import { writeDurably } from './plan-actions.ts';
import { isRewritten, policyOf } from './policy.ts';

/** The facts of a patch that plans need. */
export interface DraftOptions {
  readonly patch: number;
  readonly policies: readonly Policy[];
  /** Actions that put back what earlier patches set aside. The plan leaves their names to them. */
  readonly restores: readonly FileAction[];
}

/** Returns a key for a name in a directory. */
export const placeOf = ({ dir, name }: { readonly dir: number; readonly name: string }): string =>
  `${dir} ${name}`;

const paths = new WeakMap<TreeDiff, Map<Ino, string | null>>();

/** Returns a directory's path as text. It is looked up once for all envs that make the same change. */
export function pathOf(store: Store, change: TreeDiff, dir: Ino): string | null {
  const known = paths.get(change) ?? new Map<Ino, string | null>();
  paths.set(change, known);
  let found = known.get(dir);
  if (found === undefined) {
    found = store.dirPath(dir);
    known.set(dir, found);
  }
  return found;
}

/** Collects the actions and steps of one env. */
export class PlanDraft {
  readonly store: Store;
  readonly row: EnvRow;
  readonly change: TreeDiff;
  readonly view: DeltaView;
  readonly options: DraftOptions;
  readonly packages: PackagesOfStep;
  readonly policy;
  readonly acts: FileAction[] = [];
  readonly steps: Step[] = [];
  readonly seen = new Set<string>();
  readonly tree: EnvTree;
  readonly relinks: Relinks;
  readonly own: OwnRecords;

  constructor(env: EnvOnTheWay, verdict: Decided['verdict'], options: DraftOptions) {
    const { store, row, view, change } = env;
    this.store = store;
    this.row = row;
    this.change = change;
    this.view = view;
    this.options = options;
    const taken = takenPackages(options.policies);
    this.packages = new PackagesOfStep(env, { taken }, verdict);
    this.policy = policyOf(options.policies);
    this.tree = new EnvTree(store, change.from, { id: row.id, view });
    this.own = { delta: view, lower: change.from };
    this.relinks = new Relinks({
      view,
      envDir: envDir(store.root, row.id),
      from: change.from,
      to: change.to,
      isKept: (place) => this.packages.isOwn(place),
      mayGrow: (place) => this.packages.isFollowing(place),
      anyTime: (dir, name) => this.isMade({ dir, name }),
    });
  }

  /** True the first time for each name. False for names that are put back, and for those of an env's own package. */
  isNew(place: DirEntryRef): boolean {
    const key = placeOf(place);
    if (this.seen.has(key) || this.packages.isOwn(place)) return false;
    this.seen.add(key);
    return true;
  }

  /** Plans to relink a name, if the env's file there does not differ. Each name is planned once. */
  async relink(place: DirEntryRef, own: DeltaName): Promise<void> {
    if (!this.isNew(place)) return;
    const { dir, name } = place;
    const [was, is] = [this.change.from.lookup(dir, name), this.change.to.lookup(dir, name)];
    await this.relinks.add({ dir, name, was, is }, own);
  }

  /** True for dpkg's and apt's own records, and for files that commands generate from others. */
  isMade({ dir, name }: DirEntryRef): boolean {
    const parent = pathOf(this.store, this.change, dir);
    const bytes = parent === null ? '' : joinPath(pathFromText(parent), name);
    return isRewritten(bytes);
  }

  /** Returns an action that makes all these steps, and writes them into the env's directory. */
  stepsAction(steps: readonly Step[]): FileAction {
    const file = this.write('steps', steps);
    return { what: 'steps', path: '', dir: 0, name: '', ino: 0, file, done: false };
  }

  /** Writes steps into the env's directory. @returns the file's name there */
  write(what: string, steps: readonly Step[]): string {
    this.view.confirm();
    const name = `${what}.${this.options.patch}`;
    writeDurably(path.join(envDir(this.store.root, this.row.id), name), encodeSteps(steps));
    return name;
  }
}
