import { isDeepStrictEqual } from 'node:util';
import { type EnvSettings, NO_SETTINGS } from '../codec/env-settings.ts';
import { refuseBinds } from '../manager/envs/binds.ts';
import { devicesOf } from '../manager/envs/devices.ts';
import { type FirstMount, NOTHING_TOLD, writeSetup } from '../manager/envs/first-mount/setup.ts';
import { sizedText, volumeOf, withVolumes } from '../manager/envs/place-settings.ts';
import { disksOfEnvs, ioNotes } from '../manager/envs/runtime/io-limits.ts';
import { withSetting } from '../manager/envs/settings.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import { compose, isComposed } from '../manager/recipes/compose/compose.ts';
import { sweepScratchEnvsIfAny } from '../manager/sandbox/scratch-env.ts';
import { accessTo } from '../manager/sandbox/store-access.ts';
import type { OnProgress } from '../manager/templates/tree.ts';
import { refuseScratchName } from '../store/names.ts';
import type { EnvRow, StackRef, Store } from '../store/store.ts';
import { grantable, needsAsSettings, needsOfStack, withoutRefused } from './template-needs.ts';

/** The name, stack and first mount of a new env. */
export interface CreateOptions {
  readonly name: string;
  /** The OS template: NAME, or NAME@VERSION to pin it. */
  readonly os: string;
  /** The apps, like `os`, from the bottom up. */
  readonly apps: readonly string[];
  /** Work for its first mount, beside what is always done then. */
  readonly firstMount?: FirstMount;
  /** What is set for it, as KEY=VALUE. */
  readonly settings?: readonly string[];
  /** Its volumes, as PATH or PATH:SIZE. */
  readonly volumes?: readonly string[];
  /** What it does not get of what its templates need (withoutRefused); null: all of it. */
  readonly refusedNeeds?: readonly string[] | null;
}

/** The caller's part while the stack of a new env is composed. */
export interface CreateHooks {
  /** Ends the work when it is aborted. */
  readonly signal?: AbortSignal;
  readonly progress?: OnProgress;
}

/** The state of an env that was never mounted. */
const STOPPED = {
  state: 'stopped',
  mount: null,
  served: null,
  driverPid: null,
  firstPid: null,
  frozen: false,
  address: null,
  snapshots: [],
} as const;

/** The outcome of createEnv(). */
export interface Created {
  readonly row: EnvRow;
  /** The env as `byref list` shows it. */
  readonly summary: EnvSummary;
  /** Sentences about what was decided where its apps share files, and settings that this machine does not enforce. */
  readonly notes: readonly string[];
}

/** Returns what is set for a new env: what its templates need first, so that the rest counts more. */
function settingsOf(
  store: Store,
  stack: readonly StackRef[],
  { settings = [], volumes = [], refusedNeeds = [] }: CreateOptions,
): { set: EnvSettings; notes: string[] } {
  const { privileged } = settings.reduce(withSetting, NO_SETTINGS);
  const wanted = withoutRefused(needsOfStack(store, stack), refusedNeeds);
  const needed = needsAsSettings(grantable(wanted, privileged));
  const given = volumes.map(volumeOf);
  const others = needed.volumes
    .map(volumeOf)
    .filter((each) => !given.some(({ path }) => path === each.path));
  const all = [...needed.settings, ...settings];
  const set = withVolumes(all.reduce(withSetting, NO_SETTINGS), [...others, ...given]);
  refuseBinds(store.root, set);
  devicesOf(store.root, set);
  const words = [...needed.settings, ...others.map((each) => `the volume ${sizedText(each)}`)];
  const why = `it gets what its templates need: ${words.join(', ')}; --refuse-needs leaves that out`;
  return {
    set,
    notes: [
      ...(words.length === 0 ? [] : [why]),
      ...(set === NO_SETTINGS ? [] : ioNotes(set.limits, disksOfEnvs(store.root))),
    ],
  };
}

/**
 * Makes an env: one row in the store. The cost depends neither on what its templates hold nor on how many envs there are
 * (so shards are taken in turn, without counting their envs). The first env of a stack of several apps waits until what
 * they share is merged. The store is open for writing.
 */
export async function createEnv(
  store: Store,
  options: CreateOptions,
  { signal, progress }: CreateHooks = {},
): Promise<Created> {
  const { name, os, apps, firstMount = NOTHING_TOLD } = options;
  const env = { name, stack: [os, ...apps] };
  const versions = (): StackRef[] => store.plainStack({ name, stack: store.stackOf(env) });
  const { set, notes } = settingsOf(store, versions(), options);
  refuseScratchName(name);
  store.refuseEnvName(name);
  // A process that was killed right after it composed the same stack left its scratch env.
  if (apps.length > 0) await sweepScratchEnvsIfAny(store);
  // Others may write while the stack is composed: a patch may come between, or a gc that finds no env of the stack.
  for (let stack = versions(); !isComposed(store, stack); stack = versions()) {
    const wanted = stack;
    notes.push(...(await store.pause(() => compose(accessTo(store), wanted, signal, progress))));
  }
  const row = store.createEnv(env, ({ id }) => {
    if (firstMount !== NOTHING_TOLD) writeSetup(store.root, id, firstMount);
    if (!isDeepStrictEqual(set, NO_SETTINGS)) store.putSettings(id, set);
  });
  return { row, summary: summaryOf({ row, ...STOPPED, privileged: set.privileged }), notes };
}
