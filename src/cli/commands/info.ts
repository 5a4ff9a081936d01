import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { ownText } from '../../manager/merge/packages.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { type EnvInfo, envInfo } from '../../services/env-info.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { printFields, printResult } from '../table.ts';

/** Defines the command `byref info`. */
export default function build(): Command {
  return define('info <env>', 'Show one env: its stack, its mount, and what it holds.').action(
    async (name: string, options: object) => {
      const context = contextOf(options);
      const info = await withStore(context, 'read', (store) =>
        envInfo(store, needPeoplesEnv(store, name)),
      );
      if (context.json) printResult('info', info);
      else printFields(fields(info));
    },
  );
}

function fields(info: EnvInfo): [string, string][] {
  const stack = info.stack.map(
    ({ template, version, pinned }) => `${template}@${version}${pinned ? ' (pinned)' : ''}`,
  );
  const pid = (value: number | null): string => (value === null ? '' : String(value));
  return [
    ['name', info.name],
    ['id', String(info.id)],
    ['state', info.state],
    ...runningFields(info),
    ['stack', stack.join(', ')],
    ['created', info.created],
    ['mountpoint', info.mountpoint ?? ''],
    ['options', info.options ?? ''],
    ['since', info.mountedSince ?? ''],
    ['transport', info.transport ?? ''],
    ['passthrough', info.passthrough === null ? '' : info.passthrough ? 'yes' : 'no'],
    ['shard', String(info.shard)],
    ['driver', pid(info.driverPid)],
    ['holder', pid(info.holderPid)],
    ['apparent', formatSize(info.apparentBytes)],
    ['shared', `${formatSize(info.sharedBytes)} in ${info.sharedFiles} files`],
    ['private', `${formatSize(info.privateBytes)} in ${info.privateFiles} files`],
    ['inodes', `${info.inodes} changed`],
    ['packages', info.packages.map(packageText).join(', ')],
    ['damage', info.damage ?? ''],
  ];
}

/** What runs, with its limits beside what it uses. */
function runningFields(info: EnvInfo): [string, string][] {
  const { running, pid, ended, settings } = info;
  const set = Object.entries(settings).map(([key, value]): [string, string] => [key, value]);
  if (running === null || pid === null) {
    const end = ended === null ? [] : [endText(ended)];
    return [...end, ...set];
  }
  const of = (used: string, key: string): string =>
    settings[key] === undefined ? used : `${used} of ${shownLimit(key, settings[key])}`;
  const { memoryBytes, cpuMs, processes, since, services } = running;
  return [
    ['running', `since ${since}, first process ${pid}`],
    ['address', info.address ?? ''],
    ...(services.length === 0 ? [] : [servicesField(services)]),
    ['processor', cpuMs === null ? '' : of(`${(cpuMs / 1000).toFixed(1)} s`, 'limits.cpu')],
    ['memory', memoryBytes === null ? '' : of(formatSize(memoryBytes), 'limits.memory')],
    ['processes', processes === null ? '' : of(String(processes), 'limits.processes')],
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

const shownLimit = (key: string, value: string): string =>
  key === 'limits.cpu' ? `${value} processors` : value;

/** Describes a package: "hello 3.0 (template: 4.0)". */
const packageText = ({ package: name, own, template, why }: EnvInfo['packages'][number]): string =>
  ownText({ name, own, template, why: why === 'behind' || why === 'files' ? 'version' : why });
