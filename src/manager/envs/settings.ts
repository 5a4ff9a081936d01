/** The keys of an env's settings, as `byref set` takes them: names as in Incus, other names as in vzctl. */
import { quote, split } from 'shlex';
import { ByrefError } from '../../base/error.ts';
import { lookUp } from '../../base/look-up.ts';
import { exactSize, sizeOf } from '../../base/size.ts';
import {
  type EnvLimits,
  type EnvSettings,
  MANAGED_FILES,
  NO_SETTINGS,
  type RestartPolicy,
} from '../../codec/env-settings.ts';
import { DEVICE_KEYS } from './device-settings.ts';
import { IO_WORDS, ioRate, ioRateText } from './io-settings.ts';
import { parsePorts } from './network/ports.ts';
import { PLACE_KEYS } from './place-settings.ts';
import { bad, type Key } from './setting-key.ts';

const CPU_MIN = 0.01;
const CPU_SET = /^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/;
const MEMORY_MIN = 4 * 2 ** 20;
const SHARE_MAX = 10_000;
/** BFQ takes no more. */
const IO_WEIGHT_MAX = 1000;
/** Slower, not even a connection comes about in time. */
const RATE_MIN = 1024;

function limit<Name extends keyof EnvLimits>(
  name: string,
  field: Name,
  summary: string,
  parse: (value: string) => EnvLimits[Name],
  show: (value: NonNullable<EnvLimits[Name]>) => string,
): Key {
  return {
    name,
    summary,
    set(settings, value) {
      const limits = { ...settings.limits, [field]: value === '' ? null : parse(value) };
      return { ...settings, limits };
    },
    get({ limits }) {
      const value = limits[field];
      return value === null ? '' : show(value);
    },
  };
}

const whole =
  (name: string, least: number, most: number) =>
  (value: string): number => {
    const number = Number(value);
    if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
    throw bad(name, value, `Give a whole number from ${least} to ${most}.`);
  };

const size =
  (name: string, least: number) =>
  (value: string): number => {
    const bytes = sizeOf(value);
    if (bytes !== null && bytes >= least) return bytes;
    throw bad(
      name,
      value,
      'Write 512MiB, 2GiB or a number of bytes; of memory at least 4MiB, of a rate at least 1KiB.',
    );
  };

const flag = (name: string, field: 'autostart' | 'privileged', summary: string): Key => ({
  name,
  summary,
  set(settings, value) {
    if (['', 'true', 'false'].includes(value)) return { ...settings, [field]: value === 'true' };
    throw bad(name, value, 'It is true or false.');
  },
  get: (settings) => String(settings[field]),
});

const priority = whole('boot.autostart.priority', 0, 100);

const TIMES_MAX = 1_000_000;
const times = whole('restart', 1, TIMES_MAX);

function restartPolicy(value: string): RestartPolicy {
  const [, limit] = /^on-failure(?::(.*))?$/.exec(value) ?? [];
  if (value.startsWith('on-failure') && (value === 'on-failure' || limit !== undefined)) {
    return { when: 'on-failure', times: limit === undefined ? null : times(limit) };
  }
  if (value === '' || value === 'no') return { when: 'no' };
  // Docker's word. A stopped env stays stopped in either case.
  if (value === 'always' || value === 'unless-stopped') return { when: 'always' };
  throw bad('restart', value, 'It is no, on-failure, on-failure:TIMES or always.');
}

function restartText(restart: RestartPolicy): string {
  const limit = restart.when === 'on-failure' ? restart.times : null;
  return limit === null ? restart.when : `${restart.when}:${limit}`;
}

function cpus(value: string): number {
  const number = Number(value);
  if (Number.isFinite(number) && number >= CPU_MIN) return number;
  throw bad('limits.cpu', value, 'Give how many processors it may use, as 2 or 0.5.');
}

function cpuSet(value: string): string {
  if (CPU_SET.test(value)) return value;
  throw bad('limits.cpu.set', value, 'Name processors by number, as 0-1,3.');
}

function managedFiles(value: string): EnvSettings['managedFiles'] {
  if (value === '') return MANAGED_FILES;
  const given = value === 'none' ? [] : value.split(',');
  const found = MANAGED_FILES.filter((file) => given.includes(file));
  if (found.length === given.length) return found;
  throw bad('managed-files', value, `Name some of ${MANAGED_FILES.join(',')}, or none.`);
}

const KEYS: readonly Key[] = [
  {
    name: 'init',
    summary:
      'the first process: words, quoted as for a shell, or a JSON array; "systemd" is /sbin/init',
    set: (settings, value) => ({ ...settings, init: value === '' ? null : wordsOf(value) }),
    get: ({ init }) => (init === null ? '' : wordsText(init)),
  },
  {
    name: 'health',
    summary:
      'a command for sh -c in it, which succeeds when it is ready: byref start --ready waits for it',
    set: (settings, value) => ({ ...settings, health: value === '' ? null : value }),
    get: ({ health }) => health ?? '',
  },
  {
    name: 'network',
    summary:
      'bridge (an address on the machine’s bridge), none (a loopback interface), or host (the machine’s network)',
    set(settings, value) {
      if (value === '') return { ...settings, network: null };
      if (value === 'bridge' || value === 'none' || value === 'host')
        return { ...settings, network: value };
      throw bad('network', value, 'It is bridge, none or host.');
    },
    get: ({ network }) => network ?? '',
  },
  {
    name: 'ports',
    summary: 'ports of the machine that lead to it: 8080:80,127.0.0.1:53:53/udp',
    set(settings, value) {
      const ports = value === '' ? [] : value.split(',');
      parsePorts(ports);
      return { ...settings, ports };
    },
    get: ({ ports }) => ports.join(','),
  },
  ...PLACE_KEYS,
  ...DEVICE_KEYS,
  {
    name: 'managed-files',
    summary:
      'those of /etc/hostname, hosts and resolv.conf that are kept as its network is (all three), or none',
    set: (settings, value) => ({ ...settings, managedFiles: managedFiles(value) }),
    get: ({ managedFiles: files }) => (files.length === 0 ? 'none' : files.join(',')),
  },
  flag('boot.autostart', 'autostart', 'true: byref start --autostart starts it'),
  {
    name: 'boot.autostart.priority',
    summary: 'of those that are started so, the higher ones come first (0)',
    set: (settings, value) => ({
      ...settings,
      autostartPriority: value === '' ? 0 : priority(value),
    }),
    get: ({ autostartPriority }) => String(autostartPriority),
  },
  {
    name: 'restart',
    summary:
      'when byref daemon starts it again, if it ends by itself: no, on-failure, on-failure:TIMES, always (no)',
    set: (settings, value) => ({ ...settings, restart: restartPolicy(value) }),
    get: ({ restart }) => restartText(restart),
  },
  flag(
    'privileged',
    'privileged',
    'true: its root is the machine’s root, and nothing is kept from it',
  ),
  limit('limits.cpu', 'cpus', 'processors that it may use, as 2 or 0.5', cpus, String),
  limit(
    'limits.cpu.share',
    'cpuShare',
    'its weight when processors are short; others have 100',
    whole('limits.cpu.share', 1, SHARE_MAX),
    String,
  ),
  limit('limits.cpu.set', 'cpuSet', 'processors that it may run on, as 0-1,3', cpuSet, String),
  limit(
    'limits.memory',
    'memoryBytes',
    'memory, as 512MiB',
    size('limits.memory', MEMORY_MIN),
    exactSize,
  ),
  limit(
    'limits.memory.swap',
    'swapBytes',
    'swap beyond its memory',
    size('limits.memory.swap', 0),
    exactSize,
  ),
  limit(
    'limits.memory.guarantee',
    'memoryGuaranteeBytes',
    'memory that it keeps when the machine is short of it',
    size('limits.memory.guarantee', 0),
    exactSize,
  ),
  limit(
    'limits.processes',
    'processes',
    'processes and threads',
    whole('limits.processes', 1, 2 ** 22),
    String,
  ),
  limit(
    'limits.disk',
    'diskBytes',
    'bytes on disk of files that are its own, as 10GiB',
    size('limits.disk', 0),
    exactSize,
  ),
  limit(
    'limits.disk.inodes',
    'diskInodes',
    'files, directories, symlinks and devices that are its own',
    whole('limits.disk.inodes', 0, 2 ** 40),
    String,
  ),
  limit(
    'limits.network.ingress',
    'ingressBytes',
    'bytes a second that come to it',
    size('limits.network.ingress', RATE_MIN),
    exactSize,
  ),
  limit(
    'limits.network.egress',
    'egressBytes',
    'bytes a second that it sends',
    size('limits.network.egress', RATE_MIN),
    exactSize,
  ),
  limit(
    'limits.io.read',
    'ioRead',
    'what it may read from a disk in a second: 10MiB, 500iops, or 10MiB,500iops',
    (value) => ioRate('limits.io.read', value),
    ioRateText,
  ),
  limit(
    'limits.io.write',
    'ioWrite',
    'what it may write to a disk in a second, in the same way',
    (value) => ioRate('limits.io.write', value),
    ioRateText,
  ),
  limit(
    'limits.io.weight',
    'ioWeight',
    'its weight when disks are busy; others have 100',
    whole('limits.io.weight', 1, IO_WEIGHT_MAX),
    String,
  ),
];

/** Other names of keys: those of vzctl and prlctl, and of Docker where the value is the same. They are options of commands, too. */
const ALIASES: Readonly<Record<string, string>> = {
  ram: 'limits.memory',
  memory: 'limits.memory',
  'memory-reservation': 'limits.memory.guarantee',
  swap: 'limits.memory.swap',
  cpus: 'limits.cpu',
  cpuunits: 'limits.cpu.share',
  cpumask: 'limits.cpu.set',
  'cpuset-cpus': 'limits.cpu.set',
  numproc: 'limits.processes',
  'pids-limit': 'limits.processes',
  diskspace: 'limits.disk',
  diskinodes: 'limits.disk.inodes',
  network: 'network',
};

/** The words for keys that are options of commands, each with what it means. A word for a key that does not exist is none. */
export const settingWords = (): readonly (readonly [word: string, means: string])[] => [
  ...Object.entries(ALIASES).filter(([, name]) => KEYS.some((key) => key.name === name)),
  ...Object.entries(IO_WORDS).map(([word, { means }]) => [word, means] as const),
];

const ENVIRONMENT = 'environment.';
const SERVICE = 'services.';

/** The keys with what they mean, for help. */
export const keySummaries = (): readonly (readonly [name: string, summary: string])[] => [
  ...KEYS.map(({ name, summary }) => [name, summary] as const),
  [
    `${SERVICE}NAME`,
    'a command that is started with it, and again when it fails; several, in the order of their names, instead of init',
  ],
  [`${ENVIRONMENT}NAME`, 'a variable of all programs that are started in it'],
];

/** Returns settings with one KEY=VALUE applied; an empty value takes the key back. @throws ByrefError 'usage' */
export function withSetting(settings: EnvSettings, assignment: string): EnvSettings {
  const at = assignment.indexOf('=');
  if (at < 0) {
    throw new ByrefError('usage', `"${assignment}" sets nothing`, 'Write KEY=VALUE.');
  }
  const given = assignment.slice(0, at);
  const value = assignment.slice(at + 1);
  const word = lookUp(IO_WORDS, given);
  if (word !== undefined) return word.assignments(value).reduce(withSetting, settings);
  const name = lookUp(ALIASES, given) ?? given;
  if (name.startsWith(ENVIRONMENT))
    return withVariable(settings, name.slice(ENVIRONMENT.length), value);
  if (name.startsWith(SERVICE)) return withService(settings, name.slice(SERVICE.length), value);
  const key = KEYS.find((each) => each.name === name);
  if (key !== undefined) return key.set(settings, value);
  const known = KEYS.map((each) => each.name).join(', ');
  throw new ByrefError(
    'usage',
    `there is no key "${given}"`,
    `Keys are: ${known}, ${SERVICE}NAME, ${ENVIRONMENT}NAME.`,
  );
}

function withVariable(settings: EnvSettings, name: string, value: string): EnvSettings {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw bad('the name of a variable', name, 'Use letters, digits and _.');
  const { [name]: _former, ...others } = settings.environment;
  return { ...settings, environment: value === '' ? others : { ...others, [name]: value } };
}

function withService(settings: EnvSettings, name: string, value: string): EnvSettings {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name))
    throw bad('the name of a service', name, 'Use letters, digits and _ . -');
  const { [name]: _former, ...others } = settings.services;
  if (value === '') return { ...settings, services: others };
  return { ...settings, services: { ...others, [name]: wordsOf(value, SERVICE + name) } };
}

/** Returns the keys that differ from those of a new env, with their values. */
export function settingsShown(settings: EnvSettings): Record<string, string> {
  const set = KEYS.filter((key) => key.get(settings) !== key.get(NO_SETTINGS));
  return {
    ...Object.fromEntries(set.map((key) => [key.name, key.get(settings)])),
    ...Object.fromEntries(
      Object.entries(settings.services).map(([name, words]) => [
        SERVICE + name,
        words.map(quote).join(' '),
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(settings.environment).map(([name, value]) => [ENVIRONMENT + name, value]),
    ),
  };
}

/** Splits text into words: quoted as for a shell, with nothing expanded, or a JSON array. @param key what it is the value of @throws ByrefError 'usage' */
export function wordsOf(text: string, key = 'init'): string[] {
  if (text === 'systemd') return ['/sbin/init'];
  const words = text.startsWith('[') ? listOrRefuse(text, key) : splitOrRefuse(text, key);
  if (words.length === 0) throw bad(key, text, 'Name a program.');
  return words;
}

/** Writes words so that wordsOf() reads the same ones: as for a shell, or as JSON where `quote` is not what `split` undoes. */
function wordsText(words: readonly string[]): string {
  const text = words.map(quote).join(' ');
  const isPlain = !words.some((word) => word.includes('\\'));
  return isPlain ? text : JSON.stringify(words);
}

function listOrRefuse(text: string, key: string): string[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((word) => typeof word === 'string')) return list;
  } catch {
    // It is refused below.
  }
  throw bad(key, text, 'Write a JSON array of texts, or words as for a shell.');
}

function splitOrRefuse(text: string, key: string): string[] {
  try {
    return split(text);
  } catch {
    throw bad(key, text, 'Close its quotes.');
  }
}
