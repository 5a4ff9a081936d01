/**
 * The control protocol: what commands ask of a driver, and a driver of the holder, over a unix
 * socket. One JSON object per line each way; replies carry the request's id, in any order.
 *
 * A peer of another version is refused with a sentence, never guessed at.
 */
import type { ExitName } from '../base/exit-codes.ts';
import type { EnvAct, EnvActResult } from '../driver/core/set-aside.ts';

/** native/holder.cc has it, too, and the longest line. */
export const CONTROL_VERSION = 1;

/** Longest line either side accepts, bytes: a status of 10,000 envs fits. */
export const MAX_LINE = 8 * 1024 * 1024;

export interface Request {
  readonly v: number;
  readonly id: number;
  readonly verb: string;
  readonly args: unknown;
}

export interface ReplyError {
  readonly code: ExitName;
  readonly message: string;
  readonly hint: string;
}

export type Reply =
  | { readonly v: number; readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly v: number; readonly id: number; readonly ok: false; readonly error: ReplyError };

/** One line of a protocol: what is sent with a verb, and what comes back. */
interface Verb<Args, Result> {
  readonly args: Args;
  readonly result: Result;
}

export type Verbs = Readonly<Record<string, Verb<unknown, unknown>>>;

export type Transport = 'kernel' | 'fuse-native';

export interface MountRequest {
  readonly env: number;
  /** Absolute path of an existing directory. */
  readonly mountpoint: string;
  readonly transport: Transport;
  /** False: all reads and writes go through the driver. */
  readonly passthrough: boolean;
  /** Note which program changes what: see `writers`. */
  readonly trace: boolean;
  /** MS_* flags of mount(2); 0 leaves set-user-ID programs and devices working. */
  readonly mountFlags: number;
}

/** One mount as its driver sees it. */
export interface MountedEnv {
  readonly env: number;
  readonly name: string;
  readonly mountpoint: string;
  /** The number of its FUSE connection: see connectionAt(). */
  readonly connection: number;
  readonly transport: Transport;
  /** What the kernel granted, which may be less than was asked. */
  readonly passthrough: boolean;
  readonly trace: boolean;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/** What is to come: another version of a template for all envs, or another stack for some. */
export interface PrepareRequest {
  readonly versions: readonly HeldVersion[];
  readonly stacks: readonly { readonly env: number; readonly stack: readonly HeldVersion[] }[];
}

export interface RefreshRequest {
  /** Which envs, or null for all that are served. */
  readonly envs: readonly number[] | null;
  /** What is to be done to the envs' own files in the moment of their flip. */
  readonly acts: readonly EnvActs[];
}

export interface EnvActs {
  readonly env: number;
  readonly acts: readonly EnvAct[];
}

/** An env that shows what the store says. */
export interface RefreshedEnv extends FlipCounts {
  readonly env: number;
  /** False if it did before. */
  readonly flipped: boolean;
  /** Of each act, in their order. */
  readonly acts: readonly EnvActResult[];
  /** dpkg or apt is at work in it: nothing was done, and it shows what it did. */
  readonly busy: boolean;
  /** Why it could not, or null. */
  readonly error: string | null;
}

/** What the flip met in the env, in names: see FlipOutcome in src/driver/core/flip.ts. */
export interface FlipCounts {
  readonly own: number;
  readonly removed: number;
  readonly keptDirs: number;
}

/** A version of a template, by its template's id. */
export interface HeldVersion {
  readonly templateId: number;
  readonly version: number;
}

export interface HeldVersions {
  readonly stacks: readonly { readonly env: number; readonly stack: readonly HeldVersion[] }[];
  readonly gone: readonly GoneFile[];
}

/** A file or directory of an older version that the kernel still holds for some program. */
export interface GoneFile {
  readonly env: number;
  readonly ino: number;
  /** Its bytes, or '' for what has none. */
  readonly object: string;
  /** The versions that it was seen in. */
  readonly stack: readonly HeldVersion[];
}

export interface WritersRequest {
  readonly env: number;
  /** 0, or the `next` of the page before. */
  readonly after: number;
  /** At most so many entries; fewer where a line would get too long. */
  readonly limit: number;
}

/** Some of what programs changed in an env. */
export interface WritersPage {
  /** When its tracing began, ISO 8601, UTC: with the mount. */
  readonly since: string;
  /** Programs that changed one thing, the last one last; the others name these lists by index. */
  readonly writers: readonly (readonly string[])[];
  /** Inode number, list, inode number, list, ... */
  readonly inodes: readonly number[];
  /** Names of the templates that were removed; of each the directory's inode number, and the name. */
  readonly removed: readonly (readonly [dir: number, name: string, writers: number])[];
  /** null on the last page. */
  readonly next: number | null;
}

export interface DriverStatus {
  readonly pid: number;
  readonly root: string;
  readonly shard: number;
  readonly version: string;
  readonly envs: readonly MountedEnv[];
  /** Inodes and open files that are in memory for the kernel, over all envs; and how many can be. */
  readonly entries: { readonly used: number; readonly max: number };
  /** Errors that were caught at the edge of the process: anything but 0 is a bug. */
  readonly faults: number;
}

/** A served env's connection, as its driver has it. */
export interface ServedDevice {
  readonly pid: number;
  /** Its descriptor of /dev/fuse in that process. */
  readonly fd: number;
}

/** What a driver answers. */
export type DriverVerbs = {
  readonly status: Verb<null, DriverStatus>;
  /** Answered when the mount is served and the holder has its descriptor too. */
  readonly mount: Verb<MountRequest, MountedEnv>;
  /** The connection of an env, for mounting what it serves once more; null if it is not served (any more). */
  readonly device: Verb<{ readonly env: number }, ServedDevice | null>;
  /** What it serves was mounted there, too: that is its mount point now. */
  readonly attached: Verb<{ readonly env: number; readonly mountpoint: string }, MountedEnv | null>;
  /**
   * A flip is about to be committed: the driver reads what it will need. Should this connection end before
   * `refresh`, the driver refreshes by itself, so that a command that was killed leaves nothing half done.
   */
  readonly prepare: Verb<PrepareRequest, null>;
  /**
   * Every env shows the versions that the store says, and no program in it sees older ones any more: answered
   * then, with all that this driver serves.
   */
  readonly refresh: Verb<RefreshRequest, readonly RefreshedEnv[]>;
  /**
   * Its envs in which dpkg or apt is at work: they can't go to other versions now. With `settle` all that the others
   * have written is on disk first, and their files are as they stay unless a program changes them.
   */
  readonly busy: Verb<{ readonly settle: boolean }, readonly number[]>;
  /** What its envs see, and what is in use of versions that they do not see any more. */
  readonly held: Verb<null, HeldVersions>;
  /** Who changed what in an env that was mounted with `trace`. */
  readonly writers: Verb<WritersRequest, WritersPage>;
  /** Answered as soon as the env is not served (any more): its delta is closed. */
  readonly closed: Verb<{ readonly env: number }, null>;
  /** Ends the process; refused (busy) while it serves a mount, unless forced. */
  readonly stop: Verb<{ readonly force: boolean }, null>;
};

export interface HeldDevice {
  readonly env: number;
  readonly mountpoint: string;
  readonly shard: number;
}

export interface HolderStatus {
  readonly pid: number;
  readonly root: string;
  readonly version: string;
  readonly devices: readonly HeldDevice[];
}

/** What the holder, native/holder.cc, answers. */
export type HolderVerbs = {
  readonly status: Verb<null, HolderStatus>;
  /** Takes a copy of descriptor `fd` of process `pid`; answered when it holds it. */
  readonly hold: Verb<HeldDevice & { readonly pid: number; readonly fd: number }, null>;
  /** Lets go; when the driver is gone too, the kernel ends the connection. */
  readonly drop: Verb<{ readonly env: number }, { readonly dropped: boolean }>;
  readonly stop: Verb<{ readonly force: boolean }, null>;
};
