import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { type Relinked, relinkEnv } from '../../manager/rollout/relink.ts';
import { contextOf, define } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly all?: boolean;
}

/** Defines the command `byref relink`. */
export default function build(): Command {
  return define(
    'relink [env...]',
    'Make files of an env links again, where it has the same as its templates; also while it is mounted.',
  )
    .option('-a, --all', 'every env')
    .action(async (names: string[], options: Options) => {
      const context = contextOf(options);
      const relinked = await withStore(context, 'write', (store) =>
        forEachEnv(
          context,
          chooseEnvs(context, store, names, options.all ?? false),
          (row) => relinkEnv(store, row),
          (each) => [...packageLines(each), relinkText(each)],
        ),
      );
      if (context.json) printResult('relink', relinked);
    });
}

const packageLines = ({ env, packages }: Relinked): string[] =>
  packages.length === 0 ? [] : [`${env}: follows again in ${packages.join(', ')}`];

function relinkText({ env, names, left, freedBytes }: Relinked): string {
  const skipped = left === 0 ? '' : `; ${left} are in use, and stay its own`;
  if (names === 0) return `${env}: nothing to relink${skipped}`;
  const what = names === 1 ? '1 name is the templates’' : `${names} names are the templates’`;
  return `${env}: ${what} again, ${formatSize(freedBytes)} freed${skipped}`;
}
