/**
 * The control protocol: what commands ask of a driver, and a driver of the holder, over a unix
 * socket. One JSON object per line each way; replies carry the request's id, in any order.
 *
 * A peer of another version is refused with a sentence; its requests are never guessed at.
 */
import type { ExitName } from '../base/exit-codes.ts';
import type { EnvAction, EnvActionResult } from '../driver/core/set-aside.ts';

/** The version of the protocol. native/holder.cc repeats this number, and that of MAX_LINE. */
export const CONTROL_VERSION = 1;

/** The longest line that either side accepts, in bytes: a status of 10,000 envs fits. */
export const MAX_LINE = 8 * 1024 * 1024;

/** One request, as a line of JSON. */
export interface Request {
  readonly v: number;
  readonly id: number;
  readonly verb: string;
  readonly args: unknown;
}

/** A ByrefError, as it is sent. */
export interface ReplyError {
  readonly code: ExitName;
  readonly message: string;
  readonly hint: string;
}

/** The answer to the request of the same id. */
export type Reply =
  | { readonly v: number; readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly v: number; readonly id: number; readonly ok: false; readonly error: ReplyError };

/** The arguments and the result of one verb. */
interface Verb<Args, Result> {
  readonly args: Args;
  readonly result: Result;
}

/** The verbs that one kind of peer understands. */
export type Verbs = Readonly<Record<string, Verb<unknown, unknown>>>;

/** The implementation of the kernel's FUSE protocol for a mount: byref's own, or libfuse 2. */
export type Transport = 'kernel' | 'fuse-native';

/** The mount that a driver is asked to make. */
export interface MountRequest {
  readonly env: number;
  /** Absolute path of an existing directory. */
  readonly mountpoint: string;
  readonly transport: Transport;
  /** False: all reads and writes go through the driver. */
  readonly passthrough: boolean;
  /** Note which program changes what: see `writers`. */
  readonly trace: boolean;
  /** MS_* flags of mount(2). 0 leaves set-user-ID programs and devices working. */
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
  /** Why it was opened read-only, as some of its changes are lost; null if nothing is. */
  readonly damage: string | null;
}

/** An announcement of changes: another version of a template for all envs, or another stack for some. */
export interface PrepareRequest {
  readonly versions: readonly HeldVersion[];
  readonly stacks: readonly { readonly env: number; readonly stack: readonly HeldVersion[] }[];
}

/** Which envs are to be brought to what the store says, and what to do to their files. */
export interface RefreshRequest {
  /** The envs, or null for all that are served. */
  readonly envs: readonly number[] | null;
  /** What is to be done to the envs' own files in the moment of their flip. */
  readonly acts: readonly EnvActions[];
}

/** The actions for one env. */
export interface EnvActions {
  readonly env: number;
  readonly acts: readonly EnvAction[];
}

/** The outcome of a refresh for one env: it shows what the store says, unless `busy` or `error` is set. */
export interface RefreshedEnv extends FlipCounts {
  readonly env: number;
  /** False if it showed that before. */
  readonly flipped: boolean;
  /** The result of each action, in their order. */
  readonly acts: readonly EnvActionResult[];
  /** True if dpkg or apt is at work in it: nothing was done, and it shows what it showed before. */
  readonly busy: boolean;
  /** Why the flip failed, or null. */
  readonly error: string | null;
}

/** The numbers of names that the flip found in the env (FlipOutcome in src/driver/core/flip.ts). */
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

/** The stacks that a driver's envs see, and the older files that are still in use. */
export interface HeldVersions {
  readonly stacks: readonly { readonly env: number; readonly stack: readonly HeldVersion[] }[];
  readonly gone: readonly GoneFile[];
}

/** A file or directory of an older version that the kernel still holds for some program. */
export interface GoneFile {
  readonly env: number;
  readonly ino: number;
  /** The object with its bytes, or '' if it has none. */
  readonly object: string;
  /** The versions in which it was seen. */
  readonly stack: readonly HeldVersion[];
}

/** How many open files of an env go on reading the old file of an object that was replaced. */
export interface OldReaders {
  readonly env: number;
  readonly files: number;
}

/** Asks for one page of the writers of a traced env. */
export interface WritersRequest {
  readonly env: number;
  /** 0, or the `next` of the page before. */
  readonly after: number;
  /** The most entries to return; there are fewer where a line would get too long. */
  readonly limit: number;
}

/** A page of what programs changed in an env. */
export interface WritersPage {
  /** When its tracing began, ISO 8601, UTC: with the mount. */
  readonly since: string;
  /**
   * Lists of programs that changed one thing, the last writer last. The other fields refer to these lists by
   * index.
   */
  readonly writers: readonly (readonly string[])[];
  /** Inode number, list, inode number, list, ... */
  readonly inodes: readonly number[];
  /**
   * The templates' names that were removed: each with its directory's inode number, the name, and its list of
   * writers.
   */
  readonly removed: readonly (readonly [dir: number, name: string, writers: number])[];
  /** The `after` of the next page; null on the last one. */
  readonly next: number | null;
}

/** A driver's report about itself. */
export interface DriverStatus {
  readonly pid: number;
  readonly root: string;
  readonly shard: number;
  readonly version: string;
  readonly envs: readonly MountedEnv[];
  /** How many inodes and open files of all envs are in memory for the kernel, and how many can be. */
  readonly entries: { readonly used: number; readonly max: number };
  /** How many errors were caught only at the edge of the process: anything but 0 is a bug. */
  readonly faults: number;
}

/** Counters of a driver's envs, each since its mount. */
export interface DriverMetrics {
  readonly pid: number;
  /** Bounds of the buckets of latencies, in milliseconds; one more bucket has what took longer. */
  readonly latencyBoundsMs: readonly number[];
  readonly envs: readonly EnvMetrics[];
}

/** Counters of one env since it was mounted. */
export interface EnvMetrics {
  readonly env: number;
  readonly operations: readonly OperationMetrics[];
  /** Copies of template files that were made because something wrote to them. */
  readonly copyUps: number;
  /** Requests that wait for a late answer. */
  readonly pending: number;
  /** Requests that took longer than they should, and are in the driver's log. A driver of an older byref does not say it. */
  readonly slow?: number;
  /** Operations that ended with EIO because of a bug. */
  readonly faults: number;
}

/** The requests of one kind. */
export interface OperationMetrics {
  /** As the kernel calls it: LOOKUP. */
  readonly operation: string;
  readonly totalMs: number;
  /** How many took as long as the bound of the same index, but longer than the one before. */
  readonly buckets: readonly number[];
  readonly errors: readonly (readonly [errno: number, count: number])[];
}

/** The connection of a served env, as a descriptor in its driver. */
export interface ServedDevice {
  readonly pid: number;
  /** Its descriptor of /dev/fuse in that process. */
  readonly fd: number;
}

/** What a copy of a held env takes of its journal: these bytes of these files, beside link table and private files. */
export interface HeldEnv {
  readonly journal: readonly { readonly name: string; readonly length: number }[];
}

/** The verbs that a driver answers. */
export type DriverVerbs = {
  readonly status: Verb<null, DriverStatus>;
  readonly metrics: Verb<null, DriverMetrics>;
  /** Answered when the mount is served and the holder has its descriptor too. */
  readonly mount: Verb<MountRequest, MountedEnv>;
  /** Returns the connection of an env, to mount it once more; null if it is not, or no longer, served. */
  readonly device: Verb<{ readonly env: number }, ServedDevice | null>;
  /** Tells the driver that an env was mounted at another place, too: that is its mount point now. */
  readonly attached: Verb<{ readonly env: number; readonly mountpoint: string }, MountedEnv | null>;
  /**
   * Announces that a flip is about to be committed: the driver reads what it will need. If this connection ends
   * before `refresh`, the driver refreshes by itself, so that a command that was killed leaves nothing half
   * done.
   */
  readonly prepare: Verb<PrepareRequest, null>;
  /**
   * Makes every env show the versions that the store says. It is answered, with the outcome for all that this
   * driver serves, when no program in the envs sees older versions any longer.
   */
  readonly refresh: Verb<RefreshRequest, readonly RefreshedEnv[]>;
  /**
   * Returns the driver's envs in which dpkg or apt is at work: they can't go to other versions now. With
   * `settle`, everything that the other envs have written is put on disk first, and their files stay as they
   * are unless a program changes them.
   */
  readonly busy: Verb<{ readonly settle: boolean }, readonly number[]>;
  /** Returns what its envs see, and what is in use of versions that they no longer see. */
  readonly held: Verb<null, HeldVersions>;
  /** Returns who changed what in an env that was mounted with `trace`. */
  readonly writers: Verb<WritersRequest, WritersPage>;
  /** Waits until the env is not served: its delta is closed then. */
  readonly closed: Verb<{ readonly env: number }, null>;
  /**
   * Tells the driver that the limits of an env's disk were changed in the store; answered when they hold, or when it
   * does not serve the env.
   */
  readonly limits: Verb<{ readonly env: number }, null>;
  /**
   * Tells the driver that damaged objects were replaced by files with the right bytes. Answered when its envs see these, with the
   * open files that go on reading the old ones until they are closed.
   */
  readonly replaced: Verb<{ readonly objects: readonly string[] }, readonly OldReaders[]>;
  /**
   * Keeps an env as it is, so that it can be copied, until this connection ends, in whatever way: requests that change something
   * wait, and so do flips. null if it is not served.
   */
  readonly hold: Verb<{ readonly env: number }, HeldEnv | null>;
  /**
   * Leaves all mounts to a driver that these words start, and ends, once it is answered. Refused (unsupported) if that driver
   * reads records of another version, or if a mount can't be gone on with.
   */
  readonly leave: Verb<{ readonly records: number; readonly restart: readonly string[] }, null>;
  /** Ends the process; refused (busy) while it serves a mount, unless forced. */
  readonly stop: Verb<{ readonly force: boolean }, null>;
};

/** A connection of which the holder keeps a copy. */
export interface HeldDevice {
  readonly env: number;
  readonly mountpoint: string;
  readonly shard: number;
}

/** The holder's report about itself. */
export interface HolderStatus {
  readonly pid: number;
  readonly root: string;
  readonly version: string;
  /** Shards of mounted envs that have a driver, or will have one at once in place of one that was killed. */
  readonly driven: readonly number[];
  /** With the number of each one's descriptor in that process. */
  readonly devices: readonly (HeldDevice & { readonly fd: number })[];
}

/** The verbs that the holder, native/holder.cc, answers. */
export type HolderVerbs = {
  readonly status: Verb<null, HolderStatus>;
  /** Takes a copy of descriptor `fd` of process `pid`; answered when the holder has it. */
  readonly hold: Verb<
    HeldDevice & {
      readonly pid: number;
      readonly fd: number;
      /** The words that start another driver for the shard; none if that is not wanted. */
      readonly restart: readonly string[];
    },
    null
  >;
  /** Says that the driver lives. One that has said so, and says it no more, is ended by the holder, and replaced. */
  readonly beat: Verb<{ readonly pid: number }, null>;
  /** Closes the holder's copy. When the driver is gone too, the kernel ends the connection. */
  readonly drop: Verb<{ readonly env: number }, { readonly dropped: boolean }>;
  readonly stop: Verb<{ readonly force: boolean }, null>;
};
