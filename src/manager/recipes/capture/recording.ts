/** Records what an env changed while it is mounted: the files, who wrote them, and what the rules say about them. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { isNoSpace } from '../../../base/no-space.ts';
import type { StackRef } from '../../../store/store.ts';
import { changedPaths } from '../../envs/diff.ts';
import { archiveChanges, type ChangedArchive } from '../../sandbox/changed-tree.ts';
import type { ScratchEnv } from '../../sandbox/scratch-env.ts';
import type { StoreAccess } from '../../sandbox/store-access.ts';
import { type AssignedIds, assignedAccountIds } from '../build/assign-account-ids.ts';
import { withoutPasswords } from './passwords.ts';
import { type Rules, rulingBy, type Verdict } from './rules.ts';
import { PathWriters, writersIfTraced } from './writers-by-path.ts';

/** The effect of one rule. */
export interface Ruled {
  readonly rule: string;
  readonly verdict: Verdict;
  /** Files that it removed or emptied: binary strings, sorted. */
  readonly paths: readonly string[];
}

/** A path that the base has and the env removed. */
export interface Removed {
  readonly path: string;
  readonly programs: readonly string[];
}

/** The changes of an env. Paths are absolute binary strings. */
export interface Recording {
  readonly archive: ChangedArchive;
  /** What it was recorded on, with the OS template's version first. */
  readonly stack: readonly StackRef[];
  readonly accounts: AssignedIds;
  /** Accounts whose password was set; left out unless `kept`. */
  readonly passwords: { readonly of: readonly string[]; readonly kept: boolean };
  readonly programs: ReadonlyMap<string, readonly string[]>;
  /** False if it is not known who wrote what. */
  readonly traced: boolean;
  readonly removed: readonly Removed[];
  readonly ruled: readonly Ruled[];
}

/** Records the changes. @param dir for the archive @throws ByrefError 'noSpace' */
export async function recordChanges(
  access: StoreAccess,
  env: ScratchEnv,
  dir: string,
  rules: Rules,
): Promise<Recording> {
  let passwords: readonly string[] = [];
  const accounts = await assignedAccountIds(env, access, (now, base) => {
    const { shadow, changed } = withoutPasswords(now, base);
    passwords = changed;
    return rules.keepPasswords === true ? now : shadow;
  });
  return access.read(async (store) => {
    const known = await writersIfTraced(store, env.row);
    const writers = new PathWriters(env.mountpoint, known);
    const rulingOf = rulingBy(rules);
    const programs = new Map<string, readonly string[]>();
    const removed: Removed[] = [];
    const ruled = new Map<string, Ruled & { paths: string[] }>();
    for (const change of await changedPaths(store, env.row)) {
      const { kind, path: changed } = change;
      const { rule, verdict } = rulingOf(changed);
      if (verdict !== 'keep' && kind !== 'D' && !writers.isDirectory(changed)) {
        const taken = ruled.get(rule) ?? { rule, verdict, paths: [] };
        taken.paths.push(changed);
        ruled.set(rule, taken);
      }
      if (verdict === 'leave-out') continue;
      if (kind === 'D') removed.push({ path: changed, programs: writers.of(change) });
      else programs.set(changed, writers.of(change));
    }
    mkdirSync(dir, { recursive: true });
    const archive = await archiveChanges(
      store,
      env,
      dir,
      (changed) => rulingOf(changed).verdict !== 'leave-out',
    ).catch((cause: unknown) => {
      throw asFull(cause, dir);
    });
    return {
      archive,
      stack: env.stack,
      accounts,
      passwords: { of: passwords, kept: rules.keepPasswords === true },
      programs,
      traced: known !== null,
      removed: removed.sort(byPath),
      ruled: [...ruled.values()].map((each) => ({ ...each, paths: each.paths.sort() })),
    };
  });
}

const byPath = (a: Removed, b: Removed): number => (a.path < b.path ? -1 : 1);

/** Reports a full disk in a sentence: tar reports it in its own words. @param dir where it was to be written */
export function asFull(cause: unknown, dir: string): unknown {
  if (!isNoSpace(cause)) return cause;
  const hint = 'Free some space there, then capture again.';
  return new ByrefError('noSpace', `no space left on the device of ${path.dirname(dir)}`, hint, {
    cause,
  });
}
