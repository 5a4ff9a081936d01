import path from 'node:path';
import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { LIMITS } from '../../driver/fuse-native/limits.ts';
import type { MountOptions, MountOutcome } from '../../manager/envs/mount.ts';
import { barrierAbove } from '../../manager/envs/mountpoint.ts';
import { remountEnv } from '../../manager/envs/remount.ts';
import { envStates } from '../../manager/envs/state.ts';
import { mountToUse, startServers } from '../../services/mount-env.ts';
import { contextOf, define } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { type MountWords, parseMountWords } from '../mount-words.ts';
import { printNotes } from '../notes.ts';
import { append } from '../repeated.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly root?: string;
  readonly passthrough: boolean;
  readonly transport: string;
  readonly at?: string;
  readonly options: readonly string[];
  readonly allowUsers?: boolean;
  readonly trace?: boolean;
  readonly all?: boolean;
}

/** Defines the command `byref mount`. */
export default function build(): Command {
  return define(
    'mount [env...]',
    'Mount envs; each is served by a driver that outlives the command.',
  )
    .option('-a, --all', 'every env')
    .option('--at <dir>', 'where to mount one env (<root>/mnt/<env>, which is root’s)')
    .option('-o, --options <words>', 'as of mount(8): ro,noatime,nosuid,...', append, [])
    .option('--allow-users', 'users of this machine may look in: nosuid,nodev, on <root>/users')
    .option('--no-passthrough', 'the driver does all reads and writes')
    .option('--transport <name>', 'kernel, or fuse-native (libfuse 2)', 'kernel')
    .option('--trace', 'note which program writes what, for template capture --from-env; slower')
    .action(async (names: string[], options: Options) => {
      const words = parseMountWords(options.options, options.allowUsers ?? false);
      const context = contextOf({ ...options, root: words.root ?? options.root });
      const settings = mountOptions(names, options, words);
      const mounted = await withStore(context, 'read', async (store) => {
        const envs = await envStates(
          store,
          chooseEnvs(context, store, names, options.all ?? false),
        );
        const servers = await startServers(context.root, envs);
        return forEachEnv(
          context,
          envs,
          async (env) => {
            if (words.remount) return remountEnv(env, words.changed);
            return mountToUse(store, env, settings, (note) => printNotes([note]));
          },
          (outcome) => outcomeText(outcome, words),
        ).finally(() => servers?.close());
      });
      if (context.json) printResult('mount', mounted);
    });
}

function outcomeText(
  { name, mountpoint, already, transport }: MountOutcome,
  { allowUsers, remount }: MountWords,
): string[] {
  const how = remount ? 'options changed, ' : already ? 'mounted already ' : 'mounted ';
  return [
    `${name}: ${how}on ${mountpoint}`,
    ...limits(transport),
    ...(allowUsers ? barrier(mountpoint) : []),
  ];
}

const limits = (transport: string): string[] =>
  transport === 'kernel' ? [] : [`  without ${LIMITS.map(({ name }) => name).join(', ')}`];

function barrier(mountpoint: string): string[] {
  const closed = barrierAbove(mountpoint);
  return closed === null ? [] : [`  users can’t reach it: ${closed} lets only its owner through`];
}

function mountOptions(
  names: readonly string[],
  options: Options,
  { flags, allowUsers, passthrough, trace }: MountWords,
): MountOptions {
  const { transport, at } = options;
  if (transport !== 'kernel' && transport !== 'fuse-native') {
    throw new ByrefError('usage', `no such transport: ${transport}`, 'Use kernel or fuse-native.');
  }
  if (at !== undefined && names.length !== 1) {
    throw new ByrefError('usage', '--at mounts one env', 'Name exactly one env.');
  }
  if (at === '') {
    throw new ByrefError('usage', '--at names no directory', 'Name one; it is made if need be.');
  }
  return {
    transport,
    passthrough: passthrough && options.passthrough,
    trace: trace || (options.trace ?? false),
    ...(flags !== null && { mountFlags: flags }),
    allowUsers,
    at: at === undefined ? null : path.resolve(at),
  };
}
