/**
 * The control protocol: what commands ask of a driver, and a driver of the holder, over a unix
 * socket. One JSON object per line each way; replies carry the request's id, in any order.
 *
 * A peer of another version is refused with a sentence, never guessed at.
 */
import type { ExitName } from '../base/exit-codes.ts';

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
}

/** One mount as its driver sees it. */
export interface MountedEnv {
  readonly env: number;
  readonly name: string;
  readonly mountpoint: string;
  readonly transport: Transport;
  /** What the kernel granted, which may be less than was asked. */
  readonly passthrough: boolean;
  /** ISO 8601, UTC. */
  readonly since: string;
}

export interface DriverStatus {
  readonly pid: number;
  readonly root: string;
  readonly shard: number;
  readonly version: string;
  readonly envs: readonly MountedEnv[];
  /** Errors that were caught at the edge of the process: anything but 0 is a bug. */
  readonly faults: number;
}

/** What a driver answers. */
export type DriverVerbs = {
  readonly status: Verb<null, DriverStatus>;
  /** Answered when the mount is served and the holder has its descriptor too. */
  readonly mount: Verb<MountRequest, MountedEnv>;
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

/** What the holder answers. */
export type HolderVerbs = {
  readonly status: Verb<null, HolderStatus>;
  /** Takes a copy of descriptor `fd` of process `pid`; answered when it holds it. */
  readonly hold: Verb<HeldDevice & { readonly pid: number; readonly fd: number }, null>;
  /** Lets go; when the driver is gone too, the kernel ends the connection. */
  readonly drop: Verb<{ readonly env: number }, { readonly dropped: boolean }>;
  readonly stop: Verb<{ readonly force: boolean }, null>;
};
