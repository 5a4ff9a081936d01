/** The settings of an env: how it is started, and what it may use. Kept as JSON, after one byte with the row's version. */
import { Damaged, parseStored } from '../base/damaged.ts';

/** How much may be read or written in a second: bytes, and operations; null: any number. At least one is not null. */
export interface IoRate {
  readonly bytes: number | null;
  readonly iops: number | null;
}

/** Limits of an env; null: none. */
export interface EnvLimits {
  /** How many processors' time it may use, such as 0.5. */
  readonly cpus: number | null;
  /** Its weight when processors are short; an env without one has 100. */
  readonly cpuShare: number | null;
  /** The processors that it may run on, as "0-1,3". */
  readonly cpuSet: string | null;
  readonly memoryBytes: number | null;
  /** Swap beyond its memory. */
  readonly swapBytes: number | null;
  /** Memory that it keeps when the machine is short of it. */
  readonly memoryGuaranteeBytes: number | null;
  readonly processes: number | null;
  /** Bytes on disk, and inodes, of what is its own. */
  readonly diskBytes: number | null;
  readonly diskInodes: number | null;
  /** Bytes per second that come to it over the network, and that it sends. */
  readonly ingressBytes: number | null;
  readonly egressBytes: number | null;
  /** What its programs may read from, and write to, each disk. */
  readonly ioRead: IoRate | null;
  readonly ioWrite: IoRate | null;
  /** Its weight when disks are busy; an env without one has 100. */
  readonly ioWeight: number | null;
}

/** A directory of the machine's file system that an env has at a path, beside what its templates and its changes are. */
export interface Volume {
  /** The name of its directory, unique in the env. */
  readonly id: number;
  /** Absolute, in the env. */
  readonly path: string;
  /** It is a file system of this size, in a file; null: a directory, which has all the room that the disk has. */
  readonly sizeBytes: number | null;
}

/** A file or directory of the machine that an env has at a path. */
export interface Bind {
  /** Absolute, on the machine. */
  readonly source: string;
  /** Absolute, in the env. */
  readonly path: string;
  readonly readOnly: boolean;
}

/** A directory in memory that an env has at a path, empty at each start. */
export interface Tmpfs {
  /** Absolute, in the env. */
  readonly path: string;
  /** null: half of the machine's memory, or what limits.memory leaves. */
  readonly sizeBytes: number | null;
}

/** A device of the machine that an env has. */
export interface Device {
  /** On the machine, and in the env. */
  readonly path: string;
  /** What its programs may do with it: r, w or rw. */
  readonly access: string;
}

/** bridge: one of its own, with an address on the machine's bridge. none: a loopback interface. host: the machine's. */
export type NetworkKind = 'bridge' | 'none' | 'host';

/** no: nothing. on-failure: it is started again if the exit status is not 0. always: in any case. */
export type RestartPolicy =
  | { readonly when: 'no' | 'always' }
  /** At most that many times one after the other; null: without a limit. */
  | { readonly when: 'on-failure'; readonly times: number | null };

/** Files in /etc that say what an env's network gives it. */
export const MANAGED_FILES = ['hostname', 'hosts', 'resolv.conf'] as const;

/** One of MANAGED_FILES. */
export type ManagedFile = (typeof MANAGED_FILES)[number];

/** The settings of an env. */
export interface EnvSettings {
  /** Its first process, as words; null: systemd if the env has it, else a program that only waits. */
  readonly init: readonly string[] | null;
  /** Commands, by name, that its first process starts, and starts again when they fail: native/services.c. `init` is null then. */
  readonly services: Readonly<Record<string, readonly string[]>>;
  /** A command line for sh -c in it, which succeeds when it is ready for use; null: it is so when its first process runs. */
  readonly health: string | null;
  /** Variables of all programs that are started in it. */
  readonly environment: Readonly<Record<string, string>>;
  /** The network that it is in; null: the one that envs have by default. */
  readonly network: NetworkKind | null;
  /** Ports of the machine that lead to it, as [ADDRESS:]PORT:PORT-IN-ENV[/tcp|/udp]. */
  readonly ports: readonly string[];
  /** Files that byref keeps as its network is, unless they are changed in it. */
  readonly managedFiles: readonly ManagedFile[];
  readonly volumes: readonly Volume[];
  readonly binds: readonly Bind[];
  readonly tmpfs: readonly Tmpfs[];
  readonly devices: readonly Device[];
  /** Capabilities of its root beyond those that each env has, as CAP_NET_ADMIN. */
  readonly capabilities: readonly string[];
  /** True: `byref start --autostart` starts it, as a machine does when it boots. */
  readonly autostart: boolean;
  /** Of those, the ones with a higher number start first. */
  readonly autostartPriority: number;
  /** What a daemon does when its first process has ended by itself. */
  readonly restart: RestartPolicy;
  /** True: its root is the machine's root, with all capabilities and devices. */
  readonly privileged: boolean;
  readonly limits: EnvLimits;
}

/** An env that nothing was set for: it may use the whole machine. */
export const NO_SETTINGS: EnvSettings = {
  init: null,
  services: {},
  health: null,
  environment: {},
  network: null,
  ports: [],
  managedFiles: MANAGED_FILES,
  volumes: [],
  binds: [],
  tmpfs: [],
  devices: [],
  capabilities: [],
  autostart: false,
  autostartPriority: 0,
  restart: { when: 'no' },
  privileged: false,
  limits: {
    cpus: null,
    cpuShare: null,
    cpuSet: null,
    memoryBytes: null,
    swapBytes: null,
    memoryGuaranteeBytes: null,
    processes: null,
    diskBytes: null,
    diskInodes: null,
    ingressBytes: null,
    egressBytes: null,
    ioRead: null,
    ioWrite: null,
    ioWeight: null,
  },
};

const ROW_VERSION = 1;
const NO_SIZE = { sizeBytes: null };

/** Encodes a row of `settings`. */
export function encodeSettings(settings: EnvSettings): Buffer {
  return Buffer.concat([Buffer.of(ROW_VERSION), Buffer.from(JSON.stringify(settings), 'utf8')]);
}

/** Decodes a row of `settings`. What an older byref did not know is as if it was not set. @throws Error for a newer version */
export function decodeSettings(row: Buffer): EnvSettings {
  if (row[0] !== ROW_VERSION) {
    throw new Damaged(`settings of version ${String(row[0])}: this byref reads version 1`);
  }
  const found = parseStored(row.toString('utf8', 1)) as Partial<EnvSettings>;
  const volumes = (found.volumes ?? []).map((each) => ({ ...NO_SIZE, ...each }));
  return {
    ...NO_SETTINGS,
    ...found,
    volumes,
    limits: { ...NO_SETTINGS.limits, ...found.limits },
  };
}
