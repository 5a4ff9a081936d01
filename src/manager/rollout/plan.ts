/** `byref patch --check`: what a patch would do, and what it would meet in each env. Changes nothing. */
import { type Ino, nameToText, pathFromText } from '../../base/ids.ts';
import type { Policy, PolicyAction } from '../../codec/patch-record.ts';
import { sameForDiff } from '../../codec/same-inode.ts';
import type { AttributeName } from '../../driver/core/own-attributes.ts';
import type { DiffEntry } from '../../driver/core/tree-diff.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import type { EnvRow, Store, TemplateRow, VersionRow } from '../../store/store.ts';
import { envStates, type State } from '../envs/state.ts';
import type { OwnPackage } from '../merge/packages.ts';
import { decideStep } from '../packages/decide-step.ts';
import { PackagesOfStep } from '../packages/own-packages.ts';
import { type MetPath, type UnlikeDpkg, unlikeDpkg } from '../packages/unlike-dpkg.ts';
import { type AppFit, appFits } from './app-fits.ts';
import { checkDependencyPolicies, dependencyPolicyOf } from './dependency-policy.ts';
import { follows, usersOf } from './followers.ts';
import { type FilesInUse, filesInUse } from './in-use.ts';
import { letterOf, type MeetState, meets, touchedNames, withView } from './meets.ts';
import { type EnvMove, movesTo, nextStacks } from './moves.ts';
import { takenPackages } from './package-policy.ts';
import { type NamesByDir, PlannedNames } from './planned-names.ts';
import { type PolicyOf, policyOf } from './policy.ts';

/** A name that the patch changes in the template. */
export interface PlannedName {
  /** Added, changed or removed in the template. */
  readonly kind: 'A' | 'C' | 'D';
  /** Absolute, as text. */
  readonly path: string;
}

/** A changed name that an env does not simply follow. */
export interface PlannedMeet extends PlannedName {
  readonly state: Exclude<MeetState, 'clean'>;
  /** The action for the env's own file; null if it has none. */
  readonly action: PolicyAction | null;
  /** For the state `attributes`: those that the env has set, and keeps. */
  readonly attributes?: readonly AttributeName[];
}

/** The effects that the patch would have in one env. */
export interface PlannedEnv {
  readonly id: number;
  readonly name: string;
  readonly state: State;
  /** The version of the template that it sees now. */
  readonly from: number;
  /** The number of changed names for each state. */
  readonly counts: Readonly<Record<MeetState, number>>;
  /** The env's own packages that the patch would change otherwise. */
  readonly packages: readonly OwnPackage[];
  /** Dependencies that will no longer be met, in apt's words. */
  readonly unmet: readonly string[];
  /** Why apt could not judge the dependencies, in a sentence; null if it could, or did not have to. */
  readonly unjudged: string | null;
  /** True if apt is tried in it first: what the env's own packages need stays only if apt can't bring those along. */
  readonly completes: boolean;
  readonly names: readonly PlannedMeet[];
  /** Paths of packages at which it will not be as dpkg would make it. */
  readonly unlikeDpkg: readonly UnlikeDpkg[];
}

/** The effects that a patch would have, as a whole. */
export interface PatchPlan {
  readonly template: string;
  readonly from: number;
  readonly to: number;
  readonly label: string;
  readonly note: string;
  readonly addedBytes: number;
  readonly names: readonly PlannedName[];
  /** The envs that go along. */
  readonly envs: readonly PlannedEnv[];
  /** For an OS template: what becomes of the apps in those envs. */
  readonly apps: readonly AppFit[];
  /** The envs that stay where they are. */
  readonly pinned: readonly { readonly name: string; readonly version: number }[];
}

/**
 * Works out what a patch of the template to this version would do.
 * @param policies as the patch would have them
 * @throws ByrefError 'badInput' for templates that do not go together at these versions
 */
export async function planPatch(
  store: Store,
  template: TemplateRow,
  version: VersionRow,
  policies: readonly Policy[],
): Promise<PatchPlan> {
  checkDependencyPolicies(store, policies);
  const users = usersOf(store, template.id);
  const rows = users.filter(follows).map(({ row }) => row);
  const all = await envStates(store, rows);
  const states = new Map(all.map(({ row, state }) => [row.id, state]));
  const drivers = new Set(all.flatMap(({ driverPid }) => driverPid ?? []));
  const paths = new Paths(store);
  const policy = policyOf(policies);
  const taken = takenPackages(policies);
  const inUse = filesInUse(store.root, drivers);
  const envs: PlannedEnv[] = [];
  const next = nextStacks(store, rows, template.id, version.number);
  const planned = new PlannedNames(store);
  for (const [i, move] of movesTo(store, next).entries()) {
    const { row } = move;
    const { stack } = next[i]!;
    const names = planned.of(move, stack);
    const theirs = planned.statusOf(stack);
    const state = states.get(row.id) ?? 'stopped';
    const from = versionOf(store, row, template.id);
    const parts = { policies, policy, taken, theirs, paths, inUse };
    envs.push({ ...(await planEnv(store, move, names, parts)), state, from });
  }
  return {
    template: template.name,
    from: template.current,
    to: version.number,
    label: version.label,
    note: version.note,
    addedBytes: version.addedBytes,
    names: changesOf(store, template.id, template.current, version.number)
      .map((each) => ({ kind: letterOf(each), path: paths.of(each) }))
      .sort(byPath),
    envs,
    apps: template.kind === 'os' ? appFits(store, template, version.number, rows) : [],
    pinned: users.flatMap(({ row, entry }) =>
      entry.pinned === null ? [] : [{ name: row.name, version: entry.pinned }],
    ),
  };
}

interface PlanParts {
  readonly policies: readonly Policy[];
  readonly policy: PolicyOf;
  readonly taken: ReadonlySet<string>;
  /** The content of dpkg's status file in the next stack, if the composition that holds it is yet to be made. */
  readonly theirs: string | null | undefined;
  readonly paths: Paths;
  readonly inUse: FilesInUse;
}

const planEnv = (
  store: Store,
  move: EnvMove,
  names: NamesByDir,
  parts: PlanParts,
): Promise<Omit<PlannedEnv, 'state' | 'from'>> =>
  withView(store, move.row, (view) => planWith(view, store, move, names, parts));

async function planWith(
  view: DeltaView | null,
  store: Store,
  { row, change }: EnvMove,
  names: NamesByDir,
  { policies, policy, taken, theirs, paths, inUse }: PlanParts,
): Promise<Omit<PlannedEnv, 'state' | 'from'>> {
  const counts = {
    ...{ clean: 0, attributes: 0, private: 0, equal: 0 },
    ...{ deleted: 0, 'type-changed': 0, 'in-use': 0 },
  };
  const met: PlannedMeet[] = [];
  const used = new Set(inUse.get(row.id)?.keys() ?? []);
  const touched = [...touchedNames(view, change, used, names)];
  counts.clean = names.count - touched.length;
  const found = meets(store, row, view, change, used, touched);
  for await (const { change: each, state, own, attributes } of found) {
    counts[state]++;
    if (state === 'clean') continue;
    const path = paths.of(each);
    const kind = letterOf(each);
    if (state === 'attributes')
      met.push({ kind, path, state, action: null, attributes: attributes ?? [] });
    else {
      const action = own === null ? null : policy(pathFromText(path));
      met.push({ kind, path, state, action });
    }
  }
  const planned = {
    ...{ id: row.id, name: row.name, counts, names: met.sort(byPath), packages: [], unmet: [] },
    ...{ unjudged: null, completes: false, unlikeDpkg: [] },
  };
  if (view === null) return planned;
  const env = { store, row, view, change };
  const next = { taken, status: theirs };
  const wanted = dependencyPolicyOf(policies, row);
  // Only the patch itself tries what apt can do there, because the trial writes in the env.
  const verdict = await decideStep(env, next, wanted === 'follow' ? wanted : 'keep');
  const ofStep = new PackagesOfStep(env, next, verdict);
  const packages = ofStep.own;
  return {
    ...planned,
    packages,
    unmet: verdict?.unmet ?? [],
    unjudged: verdict?.unable ?? null,
    completes: wanted === 'complete' && packages.some(({ why }) => why === 'needed'),
    unlikeDpkg: unlikeDpkg({ ...env, packages: ofStep }, metPaths(met)),
  };
}

/** Returns those of which it matters to packages that the env has set attributes, or has removed them. */
const metPaths = (met: readonly PlannedMeet[]): MetPath[] =>
  met.flatMap(({ kind, path, state, attributes = null }) => {
    const isMet = kind === 'C' && (state === 'attributes' || state === 'deleted');
    return isMet ? [{ path: pathFromText(path), attributes }] : [];
  });

const versionOf = (store: Store, row: EnvRow, templateId: number): number =>
  store.resolveStack(row).find((ref) => ref.templateId === templateId)?.version ?? 0;

/** Returns the template's own changes from one version to another, regardless of what its envs have. */
export function changesOf(store: Store, templateId: number, from: number, to: number): DiffEntry[] {
  const at = (version: number) => [{ templateId, version }];
  const all: DiffEntry[] = [];
  for (const names of store.diffStacks(at(from), at(to)).byDir.values())
    all.push(...names.values());
  return all.filter(({ was, is }) => was === null || is === null || !sameForDiff(was, is));
}

const byPath = (a: PlannedName, b: PlannedName): number => (a.path < b.path ? -1 : 1);

/** Looks paths of directories up, each once. */
class Paths {
  private readonly store: Store;
  private readonly dirs = new Map<Ino, string>();

  constructor(store: Store) {
    this.store = store;
  }

  of({ dir, name }: DiffEntry): string {
    let path = this.dirs.get(dir);
    if (path === undefined) {
      path = this.store.dirPath(dir) ?? '?';
      this.dirs.set(dir, path);
    }
    return `${path}/${nameToText(name)}`;
  }
}
