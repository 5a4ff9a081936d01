import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { ownText } from '../../manager/merge/packages.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { type EnvInfo, envInfo } from '../../services/env-info.ts';
import { type Context, contextOf, define } from '../command.ts';
import { needsText } from '../needs-text.ts';
import { printContent } from '../print.ts';
import { besideLimit, runningFields } from '../running-text.ts';
import { withStore } from '../session.ts';
import { printFields, printResult } from '../table.ts';

/** Defines the command `byref info`. */
export default function build(): Command {
  return define('info <env>', 'Show one env: its stack, its mount, and what it holds.')
    .option('--config', 'print what create --from-config takes to make another one like it')
    .action(async (name: string, options: { readonly config?: boolean }) => {
      const context = contextOf(options);
      if (options.config) return showConfig(context, name);
      const info = await withStore(context, 'read', (store) =>
        envInfo(store, needPeoplesEnv(store, name)),
      );
      if (context.json) printResult('info', info);
      else printFields(fields(info));
    });
}

async function showConfig(context: Context, name: string): Promise<void> {
  const { envConfig, envConfigText } = await import('../../services/env-config.ts');
  const config = await withStore(context, 'read', (store) =>
    envConfig(store, needPeoplesEnv(store, name)),
  );
  if (context.json) printResult('info --config', config);
  else printContent(...envConfigText(config).trimEnd().split('\n'));
}

function fields(info: EnvInfo): [string, string][] {
  const stack = info.stack.map(
    ({ template, version, pinned }) => `${template}@${version}${pinned ? ' (pinned)' : ''}`,
  );
  const of = (used: string, key: string): string => besideLimit(info, used, key);
  const pid = (value: number | null): string => (value === null ? '' : String(value));
  return [
    ['name', info.name],
    ['id', String(info.id)],
    ['state', info.dead === null ? info.state : `${info.state}: ${info.dead}`],
    ...runningFields(info),
    ...field('volumes', info.volumes.join(', ')),
    ['stack', stack.join(', ')],
    ...field('needs', needsText(info.needs)),
    ['created', info.created],
    ...field('snapshots', info.snapshots.join(', ')),
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
    [
      'private',
      `${of(formatSize(info.privateBytes), 'limits.disk')} in ${info.privateFiles} files`,
    ],
    [
      'inodes',
      `${info.inodes} changed, ${of(String(info.privateInodes), 'limits.disk.inodes')} its own`,
    ],
    ['packages', info.packages.map(packageText).join(', ')],
    ['damage', info.damage ?? ''],
  ];
}

/** Returns a line that is there only if there is something to say. */
const field = (name: string, text: string): [string, string][] =>
  text === '' ? [] : [[name, text]];

/** Describes a package: "hello 3.0 (template: 4.0)". */
const packageText = ({ package: name, own, template, why }: EnvInfo['packages'][number]): string =>
  ownText({ name, own, template, why: why === 'behind' || why === 'files' ? 'version' : why });
