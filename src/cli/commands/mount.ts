import path from 'node:path';
import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { type MountOptions, mountEnv } from '../../env/mount.ts';
import { envStates } from '../../env/state.ts';
import { LIMITS } from '../../fuse-native/limits.ts';
import { contextOf, define } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly passthrough: boolean;
  readonly transport: string;
  readonly at?: string;
  readonly trace?: boolean;
  readonly all?: boolean;
}

export default function build(): Command {
  return define(
    'mount [env...]',
    'Mount envs; each is served by a driver that outlives the command.',
  )
    .option('-a, --all', 'every env')
    .option('--no-passthrough', 'the driver does all reads and writes')
    .option('--transport <name>', 'kernel, or fuse-native (libfuse 2)', 'kernel')
    .option('--trace', 'note which program writes what, for template capture --from-env; slower')
    .option('--at <dir>', 'where to mount one env (<root>/mnt/<env>)')
    .action(async (names: string[], options: Options) => {
      const context = contextOf(options);
      const settings = mountOptions(names, options);
      await withStore(context, 'read', async (store) =>
        forEachEnv(
          context,
          await envStates(store, chooseEnvs(store, names, options.all ?? false)),
          (env) => mountEnv(store, env, settings),
          ({ name, mountpoint, already, transport }) => [
            `${name}: mounted ${already ? 'already ' : ''}on ${mountpoint}`,
            ...limits(transport),
          ],
        ),
      );
    });
}

const limits = (transport: string): string[] =>
  transport === 'kernel' ? [] : [`  without ${LIMITS.map(({ name }) => name).join(', ')}`];

function mountOptions(names: readonly string[], options: Options): MountOptions {
  const { passthrough, transport, at, trace = false } = options;
  if (transport !== 'kernel' && transport !== 'fuse-native') {
    throw new ByrefError('usage', `no such transport: ${transport}`, 'use kernel or fuse-native');
  }
  if (at !== undefined && names.length !== 1) {
    throw new ByrefError('usage', '--at mounts one env', 'name exactly one env');
  }
  return { passthrough, transport, trace, at: at === undefined ? null : path.resolve(at) };
}
