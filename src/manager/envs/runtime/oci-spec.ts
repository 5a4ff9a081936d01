/** The parts of an OCI runtime configuration (config.json) that byref writes: opencontainers/runtime-spec, version 1.0. */

/** A range of user or group ids: `size` ids from `containerID` on inside are those from `hostID` on outside. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** A program to run. */
export interface OciProcess {
  readonly terminal: boolean;
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly additionalGids?: readonly number[];
  };
  readonly args: readonly string[];
  /** NAME=VALUE. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<
    Record<'bounding' | 'effective' | 'permitted', readonly string[]>
  >;
  readonly noNewPrivileges: boolean;
  readonly rlimits?: readonly OciRlimit[];
}

/** A resource limit of processes, as setrlimit(2) has it. */
export interface OciRlimit {
  readonly type: string;
  readonly hard: number;
  readonly soft: number;
}

/** A mount inside the env. */
export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** A rule for system calls: what happens to those with these names. */
export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly unknown[];
}

/** A filter of system calls. */
export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

/** Limits that cgroups enforce. Bytes, unless said otherwise. */
export interface OciResources {
  readonly devices: readonly {
    readonly allow: boolean;
    readonly type?: string;
    readonly major?: number;
    readonly minor?: number;
    readonly access: string;
  }[];
  readonly memory?: {
    readonly limit?: number;
    /** What it is left with when the machine is short of memory. */
    readonly reservation?: number;
    /** Memory and swap together. */
    readonly swap?: number;
  };
  readonly cpu?: {
    /** A weight: 1024 is what others have. */
    readonly shares?: number;
    /** Microseconds of processor time in each `period`. */
    readonly quota?: number;
    readonly period?: number;
    /** Processors, as "0-1,3". */
    readonly cpus?: string;
  };
  readonly pids?: { readonly limit: number };
  readonly blockIO?: OciBlockIo;
}

/** How fast one disk may be read or written: bytes or operations a second. */
export interface OciThrottle {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

/** Limits of input and output. */
export interface OciBlockIo {
  readonly throttleReadBpsDevice?: readonly OciThrottle[];
  readonly throttleWriteBpsDevice?: readonly OciThrottle[];
  readonly throttleReadIOPSDevice?: readonly OciThrottle[];
  readonly throttleWriteIOPSDevice?: readonly OciThrottle[];
}

/** A program of the machine; its input is the state of the env, as JSON. */
export interface OciHook {
  readonly path: string;
  readonly args: readonly string[];
}

/** A whole config.json. */
export interface OciSpec {
  readonly ociVersion: string;
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname: string;
  readonly mounts: readonly OciMount[];
  /** Programs of the machine that the runtime runs when the namespaces are there. */
  readonly hooks?: { readonly prestart: readonly OciHook[] };
  readonly linux: {
    readonly cgroupsPath: string;
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly uidMappings?: readonly IdMapping[];
    readonly gidMappings?: readonly IdMapping[];
    readonly resources: OciResources;
    readonly seccomp?: OciSeccomp;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly sysctl?: Readonly<Record<string, string>>;
  };
}
