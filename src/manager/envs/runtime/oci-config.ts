/** Makes the configuration with which an OCI runtime runs an env: pure functions of what is asked for. */
import type { BlockDevice } from '../../../base/block-devices.ts';
import type { EnvLimits, NetworkKind, Tmpfs } from '../../../codec/env-settings.ts';
import { INSIDE_PATH } from '../../confinement/run-inside.ts';
import type { DeviceRule } from '../devices.ts';
import type { IdRange } from './id-ranges.ts';
import { blockIoOf } from './io-limits.ts';
import type {
  OciHook,
  OciMount,
  OciProcess,
  OciResources,
  OciSeccomp,
  OciSpec,
} from './oci-spec.ts';

/** Version of the runtime specification that is written; runc 1.0 and later read it. */
const OCI_VERSION = '1.0.2';

/** Capabilities of root in an env: those that Docker and Podman give, too. They hold in the env's user namespace only. */
export const CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const;

/** What systemd needs beside: it mounts for the units that it confines, and takes part in the network's set-up. */
const SYSTEMD_CAPABILITIES = [
  'CAP_NET_ADMIN',
  'CAP_SYS_ADMIN',
  'CAP_SYS_PTRACE',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TTY_CONFIG',
  'CAP_LINUX_IMMUTABLE',
  'CAP_IPC_LOCK',
];

/** All capabilities, by their numbers (capability.h); Linux 6 has these. */
const ALL_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** Returns the capabilities in a set as /proc/PID/status shows it: in hexadecimal. */
export function capabilitiesIn(hexadecimal: string): string[] {
  const bits = BigInt(`0x${hexadecimal}`);
  return ALL_CAPABILITIES.filter((_, number) => (bits >> BigInt(number)) & 1n);
}

/** Files below /proc and /sys that show the machine, or reach into it: as in runc's own `runc spec`, and Docker's. */
const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/**
 * Returns which devices an env may use. runc allows those that it makes itself (null, zero, full, random, tty, ptmx). None is allowed
 * to be made (mknod): those that are given are there.
 */
const rulesOf = (privileged: boolean, devices: readonly DeviceRule[]): OciResources['devices'] =>
  privileged
    ? [{ allow: true, access: 'rwm' }]
    : [{ allow: false, access: 'rwm' }, ...devices.map((each) => ({ allow: true, ...each }))];

/** One CFS period, in microseconds. */
const CPU_PERIOD = 100_000;
/** The least quota that the kernel takes, in microseconds. */
const CPU_QUOTA_MIN = 1_000;
/** What cgroup v1 calls an env of the weight 100. */
const CPU_SHARES = 1024;
const CPU_SHARES_MIN = 2;
const SHARE_OF_ALL = 100;

/** The program of a package that is the first process of envs that run a command: it passes signals on, and reaps. */
export const INIT_INSIDE = '/dev/byref-init';

/** The program that an env begins with. */
export interface InitProgram {
  readonly args: readonly string[];
  /** True: it is a service manager, which wants cgroups and places of its own to write to. */
  readonly isSystemd: boolean;
  /** A program of the machine that is shown as INIT_INSIDE; null if `args` needs none. */
  readonly helper: string | null;
}

/** A file, directory or device of the machine that an env has at a path. */
export interface ShownPlace {
  /** On the machine; root of the env has to get there. */
  readonly place: string;
  readonly path: string;
  readonly readOnly: boolean;
  readonly isDevice: boolean;
}

/** What an env is to be. */
export interface BundleRequest {
  readonly hostname: string;
  readonly init: InitProgram;
  readonly environment: Readonly<Record<string, string>>;
  readonly terminal: boolean;
  /** The ids that its users have outside; null: they are the machine's (privileged). */
  readonly ids: IdRange | null;
  readonly network: NetworkKind;
  /** What it has beside its root. */
  readonly places: readonly ShownPlace[];
  readonly tmpfs: readonly Tmpfs[];
  /** A directory of the machine with what systemd-resolved in it is told; null: none. */
  readonly resolved: string | null;
  readonly cgroupsPath: string;
  readonly limits: EnvLimits;
  /** Disks that its limits of input and output count for. */
  readonly disks: readonly BlockDevice[];
  /** Devices that it has beyond the standard ones. */
  readonly devices: readonly DeviceRule[];
  /** What its root user may do. */
  readonly capabilities: readonly string[];
  /** The filter of system calls; null: none (privileged). */
  readonly seccomp: OciSeccomp | null;
  /** What is run before its processes are made again of images; null: nothing. */
  readonly hook: OciHook | null;
}

/** The variables of every program in an env. @param home the home directory of its user */
export const baseEnvironment = (home: string): Record<string, string> => ({
  PATH: INSIDE_PATH,
  HOME: home,
  container: 'byref',
});

/** Returns variables as NAME=VALUE. */
export const asList = (variables: Readonly<Record<string, string>>): string[] =>
  Object.entries(variables).map(([name, value]) => `${name}=${value}`);

/** Returns the capabilities of programs of root in an env that is not privileged. @param more what is set for it */
export const capabilitiesOf = (isSystemd: boolean, more: readonly string[]): readonly string[] => [
  ...new Set([...CAPABILITIES, ...(isSystemd ? SYSTEMD_CAPABILITIES : []), ...more]),
];

/** Returns the whole config.json of an env. */
export function ociConfig(request: BundleRequest): OciSpec {
  const { hostname, ids, network, cgroupsPath, limits, disks, devices, seccomp, hook } = request;
  const privileged = ids === null;
  const mapping = ids && [{ containerID: 0, hostID: ids.first, size: ids.size }];
  return {
    ociVersion: OCI_VERSION,
    process: firstProcess(request),
    root: { path: 'rootfs', readonly: false },
    hostname,
    mounts: mountsOf(request),
    ...(hook && { hooks: { prestart: [hook] } }),
    linux: {
      cgroupsPath,
      namespaces: [
        ...['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
        ...(network === 'host' ? [] : [{ type: 'network' }]),
        ...(mapping ? [{ type: 'user' }] : []),
      ],
      ...(mapping && { uidMappings: mapping, gidMappings: mapping }),
      resources: {
        ...resourcesOf(limits, privileged, disks),
        devices: rulesOf(privileged, devices),
      },
      ...(seccomp && { seccomp }),
      maskedPaths: privileged ? [] : MASKED,
      readonlyPaths: privileged ? [] : READ_ONLY,
    },
  };
}

function firstProcess({ init, environment, terminal, capabilities }: BundleRequest): OciProcess {
  return {
    terminal,
    user: { uid: 0, gid: 0 },
    args: init.args,
    env: asList({
      ...baseEnvironment('/root'),
      ...(terminal ? { TERM: 'xterm' } : {}),
      ...environment,
    }),
    cwd: '/',
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    // Set-user-ID programs, such as su and ping, work: what they can reach is bounded by the user namespace.
    noNewPrivileges: false,
  };
}

const NO_EXEC = ['nosuid', 'noexec', 'nodev'];

function mountsOf({ init, ids, network, places, tmpfs, resolved }: BundleRequest): OciMount[] {
  const mount = (
    destination: string,
    type: string,
    source: string,
    ...options: string[]
  ): OciMount => ({ destination, type, source, options });
  // A new sysfs shows the interfaces of a network namespace, and may be mounted only by its owner.
  const isForeignNetwork = ids !== null && network === 'host';
  const sys = isForeignNetwork
    ? mount('/sys', 'none', '/sys', 'rbind', ...NO_EXEC, 'ro')
    : mount('/sys', 'sysfs', 'sysfs', ...NO_EXEC, ids === null ? 'rw' : 'ro');
  const cgroup = mount(
    '/sys/fs/cgroup',
    'cgroup',
    'cgroup',
    ...NO_EXEC,
    'relatime',
    init.isSystemd ? 'rw' : 'ro',
  );
  return [
    mount('/proc', 'proc', 'proc', ...NO_EXEC),
    mount('/dev', 'tmpfs', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
    mount(
      '/dev/pts',
      'devpts',
      'devpts',
      'nosuid',
      'noexec',
      'newinstance',
      'ptmxmode=0666',
      'mode=0620',
      'gid=5',
    ),
    mount('/dev/shm', 'tmpfs', 'shm', ...NO_EXEC, 'mode=1777'),
    mount('/dev/mqueue', 'mqueue', 'mqueue', ...NO_EXEC),
    sys,
    ...(isForeignNetwork ? [] : [cgroup]),
    ...(init.isSystemd ? SYSTEMD_TMPFS : []),
    ...(resolved === null
      ? []
      : [mount(RESOLVED_CONF, 'bind', resolved, 'bind', 'ro', ...NO_EXEC)]),
    ...ownMounts(places, tmpfs),
    ...(init.helper === null
      ? []
      : [mount(INIT_INSIDE, 'bind', init.helper, 'bind', 'ro', 'nosuid', 'nodev')]),
  ];
}

/** Returns the mounts of what is set for the env, so that one in another comes later. */
function ownMounts(places: BundleRequest['places'], tmpfs: readonly Tmpfs[]): OciMount[] {
  const binds = places.map(({ place, path, readOnly, isDevice }) => ({
    destination: path,
    type: 'bind',
    source: place,
    options: [
      ...(isDevice ? ['bind', 'nosuid', 'noexec'] : ['rbind', 'nodev']),
      ...(readOnly ? ['ro'] : []),
    ],
  }));
  const inMemory = tmpfs.map(({ path, sizeBytes }) => ({
    destination: path,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'mode=1777', ...(sizeBytes === null ? [] : [`size=${sizeBytes}`])],
  }));
  return [...binds, ...inMemory].sort((a, b) => a.destination.length - b.destination.length);
}

/** Where systemd-resolved looks for configuration that the machine it runs on is given at run time. */
const RESOLVED_CONF = '/run/systemd/resolved.conf.d';

/** systemd mounts these itself where it may; in an env it finds them. */
const SYSTEMD_TMPFS: readonly OciMount[] = [
  { destination: '/run', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=755'] },
  {
    destination: '/run/lock',
    type: 'tmpfs',
    source: 'tmpfs',
    options: [...NO_EXEC, 'mode=1777', 'size=5120k'],
  },
  {
    destination: '/tmp',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'mode=1777'],
  },
];

/** Returns what the runtime is told of limits. */
export function resourcesOf(
  limits: EnvLimits,
  privileged: boolean,
  disks: readonly BlockDevice[] = [],
): OciResources {
  const { cpus, cpuShare, cpuSet, memoryBytes, swapBytes, memoryGuaranteeBytes, processes } =
    limits;
  const memory = {
    ...(memoryBytes !== null && { limit: memoryBytes }),
    ...(memoryBytes !== null && swapBytes !== null && { swap: memoryBytes + swapBytes }),
    ...(memoryGuaranteeBytes !== null && { reservation: memoryGuaranteeBytes }),
  };
  const cpu = {
    ...(cpuShare !== null && { shares: sharesOf(cpuShare) }),
    ...(cpus !== null && {
      quota: Math.max(CPU_QUOTA_MIN, Math.round(cpus * CPU_PERIOD)),
      period: CPU_PERIOD,
    }),
    ...(cpuSet !== null && { cpus: cpuSet }),
  };
  const blockIO = blockIoOf(limits, disks);
  return {
    devices: rulesOf(privileged, []),
    ...(Object.keys(memory).length > 0 && { memory }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(processes !== null && { pids: { limit: processes } }),
    ...(blockIO !== null && { blockIO }),
  };
}

/** What the runtime takes for "no limit" of what is changed. */
const NO_LIMIT = -1;

/**
 * Returns what the runtime is told when limits of a running env change: those that are set, and for those that were taken back that
 * there is none.
 * @param allCpus all processors of the machine, as "0-3"
 */
export function changedResources(
  before: EnvLimits,
  after: EnvLimits,
  allCpus: string,
): Omit<OciResources, 'devices' | 'blockIO'> {
  const { devices: _devices, memory, cpu, pids } = resourcesOf(after, false);
  const isTakenBack = (name: keyof EnvLimits): boolean =>
    before[name] !== null && after[name] === null;
  const memoryBack = {
    ...(isTakenBack('memoryBytes') && { limit: NO_LIMIT, swap: NO_LIMIT }),
    ...(isTakenBack('swapBytes') && { swap: NO_LIMIT }),
    ...(isTakenBack('memoryGuaranteeBytes') && { reservation: NO_LIMIT }),
  };
  const cpuBack = {
    ...(isTakenBack('cpus') && { quota: NO_LIMIT, period: CPU_PERIOD }),
    ...(isTakenBack('cpuShare') && { shares: CPU_SHARES }),
    ...(isTakenBack('cpuSet') && { cpus: allCpus }),
  };
  return {
    memory: { ...memoryBack, ...memory },
    cpu: { ...cpuBack, ...cpu },
    pids: pids ?? { limit: isTakenBack('processes') ? NO_LIMIT : 0 },
  };
}

const sharesOf = (share: number): number =>
  Math.max(CPU_SHARES_MIN, Math.round((share / SHARE_OF_ALL) * CPU_SHARES));
