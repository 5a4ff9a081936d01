/**
 * The record of a patch, of a rollback, or of a version that was pinned or followed: who moved which envs from
 * where to where, and what came of it. It is stored as a version byte and JSON, since people and tools read it,
 * and rarely.
 */
import { Damaged, parseStored } from '../base/damaged.ts';

const RECORD_VERSION = 1;

/**
 * The kinds of commands that are recorded. patch: moved a template forwards. rollback: back. pin, follow: moved
 * one env only. add, remove: changed the templates of one env's stack, from version 0 or to it; `template` then
 * names all of them, and `templateId` is the first one's.
 */
export type PatchKind = 'patch' | 'rollback' | 'pin' | 'follow' | 'add' | 'remove';

/**
 * How far a patch is. rolling: a command takes envs to the version in waves. canary: some envs are there, and
 * it waits for another command. acting: all envs are there, but their actions may not all be done. done. undone:
 * the envs went back.
 */
export type PatchState = 'rolling' | 'canary' | 'acting' | 'done' | 'undone';

/** The choices for an env's own copy of a file that the patch changes. */
export type PolicyAction = 'keep' | 'take' | 'merge';

/**
 * The choices where an env's own packages and the packages that the patch changes would no longer fit
 * together. keep: the packages that the patch changes stay as they were. follow: they change nevertheless.
 * complete: apt updates the env's own packages to match; where it can't, keep.
 */
export type DependencyPolicy = 'keep' | 'follow' | 'complete';

/**
 * A rule for paths that match a pattern; of several rules that match, the last one counts. The pattern
 * `package:NAME` stands for a whole package, `dependencies:ENV` for the dependencies in one env,
 * `dependencies:` for those in all envs.
 */
export interface Policy {
  readonly pattern: string;
  readonly action: PolicyAction | DependencyPolicy;
}

/** The process that gave the command, and its user. */
export interface PatchAuthor {
  readonly user: string;
  readonly uid: number;
  readonly pid: number;
  readonly command: string;
}

/**
 * The outcomes for one env. flipped: it was mounted, and sees the version. stopped: it will see it when it is
 * mounted. dead: it is mounted without a driver, and will see it once it is mounted anew. failed: its driver
 * could not do it, or did not answer. busy: dpkg or apt is at work in it, so it stays where it is until the
 * next command finds it free.
 */
export type EnvOutcome = 'flipped' | 'stopped' | 'dead' | 'failed' | 'busy';

/** A patch's outcome in one env. */
export interface PatchedEnv {
  readonly id: number;
  readonly name: string;
  readonly outcome: EnvOutcome;
  /**
   * How many of the changed names the env has of its own, and (`removed`) how many it has removed: both stay as
   * they are.
   */
  readonly own: number;
  readonly removed: number;
  /** How many directories that the template lost were kept for what the env has in them. */
  readonly keptDirs: number;
  /** The packages, among those that the patch changes, that stay the env's own; absent in records of older builds. */
  readonly packages?: readonly KeptPackage[];
  /** Dependencies that are no longer met, in apt's words. */
  readonly unmet?: readonly string[];
  /** Why apt could not say whether dependencies are unmet, in a sentence. */
  readonly unjudged?: string;
  /** The packages that apt updates in the env by the policy `complete`, or why it can't. */
  readonly completion?: CompletedPackages;
  /** The changes to the env's own files that were made, or are still to be made while the patch is `acting`. */
  readonly acts: readonly FileAction[];
  readonly error: string | null;
}

/**
 * The packages that apt is to update, or updated, in an env, such as "libx-dev 1 -> 2"; none before it was
 * tried. `why` says why it could not. `done` is false until it is done.
 */
export interface CompletedPackages {
  readonly packages: readonly string[];
  /** The versions to go back to, as "libx-dev=1": a rollback undoes what apt updated. */
  readonly wanted?: readonly string[];
  readonly why?: string;
  readonly done: boolean;
}

/**
 * A package that differs between an env and its templates. `own` and `template` are versions; null means that
 * it is not installed.
 */
export interface KeptPackage {
  readonly name: string;
  readonly why: 'version' | 'removed' | 'held' | 'unfinished' | 'needed';
  readonly own: string | null;
  readonly template: string | null;
  /** needed: the env's own package for which it stays, with its version. */
  readonly for?: string;
}

/**
 * A patch's effect on one name that an env has of its own. taken: it was set aside, and the template's shows.
 * merged: it was set aside, and a merge of it with the template's change is in its place. conflict: the merge
 * had conflicts, so it stays. restored: a rollback put it back. changed: it was to be put back, but the env has
 * changed the name since. updated: one of dpkg's records was merged, and the old one is removed. steps: many
 * small changes, listed in a file (codec/steps.ts); it has no path.
 */
export interface FileAction {
  readonly what: 'taken' | 'merged' | 'conflict' | 'restored' | 'changed' | 'updated' | 'steps';
  /** Absolute, as text. */
  readonly path: string;
  readonly dir: number;
  /** The name's bytes as binary string. */
  readonly name: string;
  /**
   * The inode that the name had. If it has another one now, the action was done already, or the name is the env's
   * again.
   */
  readonly ino: number;
  /** merged, updated: inode and SHA-256 of the merge. restored, changed: the same of the merge that is removed. */
  readonly merged?: { readonly ino: number; readonly sha256: string };
  /** restored, changed: the patch that had set the file aside. */
  readonly patch?: number;
  /** merged, updated, steps: the prepared file's name in the env's directory, until it is in place. */
  readonly file?: string;
  /** merged, updated, restored: the state that the private file must still be in when it is replaced. */
  readonly seen?: SeenFile;
  /**
   * taken: the package that the name belongs to, if the whole package is the template's from then on: then a
   * rollback does not put the name back.
   */
  readonly package?: string;
  /**
   * Why it could not be merged. For a merge by key: the keys that both sides changed; there the env's value
   * stays.
   */
  readonly why?: string;
  /** steps: how many were skipped because the env changed the file meanwhile. */
  readonly left?: number;
  /** False until it is known to be done. */
  readonly done: boolean;
}

/** The state of a private file when it was examined; times in seconds and nanoseconds. */
export interface SeenFile {
  readonly size: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly ctime: number;
  readonly ctimeNs: number;
}

/** A record without its envs, of which there may be thousands. */
export interface PatchHead {
  readonly id: number;
  readonly kind: PatchKind;
  readonly templateId: number;
  readonly template: string;
  readonly from: number;
  readonly to: number;
  readonly state: PatchState;
  /** True if it moved the current version, and with it all envs that follow; false if only those in `envs`. */
  readonly all: boolean;
  readonly startedMs: number;
  readonly endedMs: number | null;
  readonly by: PatchAuthor;
  readonly policies: readonly Policy[];
  /** Why it was undone, or another remark to keep. */
  readonly note: string;
}

/** A record with all its envs. */
export interface PatchRecord extends PatchHead {
  readonly envs: readonly PatchedEnv[];
}

/** Encodes a record without its envs. */
export const encodePatchHead = (head: PatchHead): Buffer => encode(head);
/** Decodes what encodePatchHead() made. @throws Error for another version, or invalid JSON */
export const decodePatchHead = (buf: Buffer): PatchHead => decode(buf) as PatchHead;

/** Encodes the envs of a record. */
export const encodePatchEnvs = (envs: readonly PatchedEnv[]): Buffer => encode(envs);
/** Decodes what encodePatchEnvs() made. @throws as decodePatchHead */
export const decodePatchEnvs = (buf: Buffer): PatchedEnv[] => decode(buf) as PatchedEnv[];

function encode(value: unknown): Buffer {
  return Buffer.concat([Buffer.of(RECORD_VERSION), Buffer.from(JSON.stringify(value), 'utf8')]);
}

function decode(buf: Buffer): unknown {
  if (buf[0] !== RECORD_VERSION) {
    throw new Damaged(`patch record of version ${String(buf[0])}: this byref reads version 1`);
  }
  return parseStored(buf.toString('utf8', 1));
}

/**
 * Returns the patch that a file in an env's directory (a merge, or steps) was made for, judging by its name. 0
 * stands for `byref relink`; null for a file that belongs to no patch.
 */
export function patchOfFile(name: string): number | null {
  const [, merge, steps] =
    /^(?:merge[.](\d{1,9})[.]\d+|(?:steps|keep)[.](\d{1,9}))$/.exec(name) ?? [];
  const patch = merge ?? steps;
  return patch === undefined ? null : Number(patch);
}
