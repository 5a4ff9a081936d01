/**
 * What is kept of a patch, a rollback, or of a pinned or followed version: who moved which envs from where to
 * where, and what came of it. A version byte, then JSON: a record is read by people and tools, and rarely.
 */
const RECORD_VERSION = 1;

/**
 * patch: forwards. rollback: back. pin, follow: one env only. add, remove: templates of one env's stack, from version 0 or to
 * it; `template` names all of them, `templateId` is the first one's.
 */
export type PatchKind = 'patch' | 'rollback' | 'pin' | 'follow' | 'add' | 'remove';

/**
 * rolling: a command takes envs there in waves. canary: some envs are there, and it waits for a further command.
 * acting: all are there, but what was to be done in envs may not be. done. undone: the envs went back.
 */
export type PatchState = 'rolling' | 'canary' | 'acting' | 'done' | 'undone';

/** What happens to an env's own copy of a file that the patch changes. */
export type PolicyAction = 'keep' | 'take' | 'merge';

/**
 * What happens where packages of an env's own and those that the patch changes would not go together any more. keep: those that it
 * changes stay as they were. follow: they go along. complete: apt brings the env's own along; where it can't, keep.
 */
export type DependencyPolicy = 'keep' | 'follow' | 'complete';

/**
 * For paths that match; of several the last one counts. The pattern `package:NAME` is of a whole package, `dependencies:ENV` of the
 * dependencies in one env, `dependencies:` of those in all envs.
 */
export interface Policy {
  readonly pattern: string;
  readonly action: PolicyAction | DependencyPolicy;
}

/** Who gave the command. */
export interface PatchAuthor {
  readonly user: string;
  readonly uid: number;
  readonly pid: number;
  readonly command: string;
}

/**
 * flipped: it was mounted and sees the version. stopped: it will, when it is mounted. dead: mounted without a
 * driver; it will once it is mounted anew. failed: its driver could not, or did not answer. busy: dpkg or apt is at work in it, so it
 * stays where it is until the next command finds it free.
 */
export type EnvOutcome = 'flipped' | 'stopped' | 'dead' | 'failed' | 'busy';

/** One env of a patch. */
export interface PatchedEnv {
  readonly id: number;
  readonly name: string;
  readonly outcome: EnvOutcome;
  /** Changed names that it has of its own, and that it has removed: both stay. */
  readonly own: number;
  readonly removed: number;
  /** Directories that the template lost, kept for what the env has in them. */
  readonly keptDirs: number;
  /** Packages that stay the env's own, of those that it changes; none in records of older builds. */
  readonly packages?: readonly KeptPackage[];
  /** Dependencies that are not met any more, in apt's words. */
  readonly unmet?: readonly string[];
  /** Why apt could not say whether there are some, in a sentence. */
  readonly unjudged?: string;
  /** What apt brings along in the env by the policy `complete`, or why it can't. */
  readonly completion?: CompletedPackages;
  /** What was done to its own files, or is to be done while the patch is `acting`. */
  readonly acts: readonly PatchAct[];
  readonly error: string | null;
}

/** What apt is to do, or did, in an env: "libx-dev 1 -> 2"; none before it was tried. `why` it could not. `done` is false until then. */
export interface CompletedPackages {
  readonly packages: readonly string[];
  /** Versions to which it is to go back, as "libx-dev=1": a rollback takes back what apt brought along. */
  readonly wanted?: readonly string[];
  readonly why?: string;
  readonly done: boolean;
}

/** A package that an env has otherwise than its templates. Versions; null: it is not there. */
export interface KeptPackage {
  readonly name: string;
  readonly why: 'version' | 'removed' | 'held' | 'unfinished' | 'needed';
  readonly own: string | null;
  readonly template: string | null;
  /** needed: the package of the env's own that it stays for, with its version. */
  readonly for?: string;
}

/**
 * What a patch does to one name that an env has of its own. taken: it was set aside, the template's shows. merged: it was
 * set aside, and a merge of it and the template's change is in its place. conflict: the merge had conflicts, it stays. restored:
 * a rollback put it back. changed: it was to be put back, but the env has changed the name since. updated: a record of dpkg's was
 * merged, and the old one is gone. steps: many small changes, which are in a file (codec/steps.ts); it has no path.
 */
export interface PatchAct {
  readonly what: 'taken' | 'merged' | 'conflict' | 'restored' | 'changed' | 'updated' | 'steps';
  /** Absolute, as text. */
  readonly path: string;
  readonly dir: number;
  /** The name's bytes as binary string. */
  readonly name: string;
  /** The inode that the name had: a name that has another one now was done already, or is the env's again. */
  readonly ino: number;
  /** merged, updated: the inode and the SHA-256 of the merge. restored, changed: the same of the merge that goes. */
  readonly merged?: { readonly ino: number; readonly sha256: string };
  /** restored, changed: which patch had set it aside. */
  readonly patch?: number;
  /** merged, updated, steps: the file, by its name in the env's directory, until it is in place. */
  readonly file?: string;
  /** merged, updated, restored: what the private file that goes must still be. */
  readonly seen?: SeenFile;
  /** taken: with the package that it is of, which is the template's from then on: a rollback does not put it back. */
  readonly package?: string;
  /** Why it could not be merged; of a merge by key, which keys both changed: there the env's stays. */
  readonly why?: string;
  /** steps: how many were left out, because the env changed the file meanwhile. */
  readonly left?: number;
  /** False until it is known to be done. */
  readonly done: boolean;
}

/** A private file as it was looked at; times in seconds and nanoseconds. */
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
  /** It moved the current version, and with it all envs that follow; else only those in `envs`. */
  readonly all: boolean;
  readonly startedMs: number;
  readonly endedMs: number | null;
  readonly by: PatchAuthor;
  readonly policies: readonly Policy[];
  /** Why it was undone, or what was to be remembered. */
  readonly note: string;
}

export interface PatchRecord extends PatchHead {
  readonly envs: readonly PatchedEnv[];
}

export const encodePatchHead = (head: PatchHead): Buffer => encode(head);
export const decodePatchHead = (buf: Buffer): PatchHead => decode(buf) as PatchHead;

export const encodePatchEnvs = (envs: readonly PatchedEnv[]): Buffer => encode(envs);
export const decodePatchEnvs = (buf: Buffer): PatchedEnv[] => decode(buf) as PatchedEnv[];

function encode(value: unknown): Buffer {
  return Buffer.concat([Buffer.of(RECORD_VERSION), Buffer.from(JSON.stringify(value), 'utf8')]);
}

function decode(buf: Buffer): unknown {
  if (buf[0] !== RECORD_VERSION) {
    throw new Error(`patch record of version ${String(buf[0])}: this byref reads version 1`);
  }
  return JSON.parse(buf.toString('utf8', 1));
}

/**
 * The patch that a file in an env's directory was made for, by the file's name: a merge, or steps. Null if it is none of a
 * patch; 0 for one of `byref relink`.
 */
export function patchOfFile(name: string): number | null {
  const [, merge, steps] =
    /^(?:merge[.](\d{1,9})[.]\d+|(?:steps|keep)[.](\d{1,9}))$/.exec(name) ?? [];
  const patch = merge ?? steps;
  return patch === undefined ? null : Number(patch);
}
