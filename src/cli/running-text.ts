/** Describes what an env that runs uses, beside its limits, and how short it is of that. */
import { formatSize } from '../base/size.ts';
import type { Stall } from '../manager/envs/runtime/group-pressure.ts';
import type { EnvInfo } from '../services/env-info.ts';

/** Returns the lines of `byref info` about what runs, or ended, and what is set. */
export function runningFields(info: EnvInfo): [string, string][] {
  const { running, pid, ended, settings } = info;
  const set = Object.entries(settings);
  if (running === null || pid === null) {
    const end = ended === null ? [] : [endText(ended)];
    return [...end, ...set];
  }
  const { memoryBytes, cpuMs, processes, readBytes, writtenBytes, since, pressure, services } =
    running;
  const of = (used: string | null, key: string, ...more: (string | null)[]): string => {
    if (used === null) return '';
    return [besideLimit(info, used, key), ...more.filter((each) => each !== null)].join('; ');
  };
  const size = (bytes: number | null): string | null => (bytes === null ? null : formatSize(bytes));
  return [
    ['running', `since ${since}, first process ${pid}`],
    ['address', info.address ?? ''],
    ...(services.length === 0 ? [] : [servicesField(services)]),
    [
      'processor',
      of(
        cpuMs === null ? null : seconds(cpuMs),
        'limits.cpu',
        stallText(pressure.cpu),
        unlessNone(pressure.cpuThrottledMs, (held) => `held back ${seconds(held)}`),
      ),
    ],
    [
      'memory',
      of(
        size(memoryBytes),
        'limits.memory',
        stallText(pressure.memory),
        unlessNone(pressure.memoryLimitHits, (times) => `at its limit ${times} times`),
        unlessNone(pressure.memoryKills, (killed) => `${killed} killed`),
      ),
    ],
    [
      'processes',
      of(
        processes === null ? null : String(processes),
        'limits.processes',
        unlessNone(pressure.processLimitHits, (times) => `at its limit ${times} times`),
      ),
    ],
    ['read', of(size(readBytes), '', stallText(pressure.io), rateText(settings['limits.io.read']))],
    ['written', of(size(writtenBytes), '', rateText(settings['limits.io.write']))],
    ...set,
  ];
}

const servicesField = (services: NonNullable<EnvInfo['running']>['services']): [string, string] => [
  'services',
  services
    .map(({ name, pid }) => `${name} (${pid === null ? 'not running' : `pid ${pid}`})`)
    .join(', '),
];

const endText = ({ code, atMs }: NonNullable<EnvInfo['ended']>): [string, string] => [
  'ended',
  `exit status ${code}, ${new Date(atMs).toISOString()}`,
];

/** Writes a use beside its limit, if one is set. */
export function besideLimit({ settings }: EnvInfo, used: string, key: string): string {
  const limit = settings[key];
  return limit === undefined ? used : `${used} of ${shownLimit(key, limit)}`;
}

const shownLimit = (key: string, value: string): string =>
  key === 'limits.cpu' ? `${value} processors` : value;

const rateText = (rate: string | undefined): string | null =>
  rate === undefined ? null : `limit ${rate}`;

const MS = 1000;
const seconds = (ms: number): string => `${(ms / MS).toFixed(1)} s`;

/** Says how much of the last ten seconds something waited; null where it did not, and where nobody counts. */
const stallText = (stall: Stall | null): string | null =>
  stall === null || stall.some10 === 0 ? null : `waited ${stall.some10.toFixed(0)} % of 10 s`;

const unlessNone = (count: number | null, text: (count: number) => string): string | null =>
  count === null || count === 0 ? null : text(count);
