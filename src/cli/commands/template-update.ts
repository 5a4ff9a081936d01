import type { Command } from 'commander';
import { configOf } from '../../services/build-template.ts';
import { type BuildOptions, buildOptions, runBuild } from '../build-run.ts';
import { defineWaiting } from '../command.ts';
import { sessionOf } from '../session.ts';

/** Defines the command `byref template update`. */
export default function build(): Command {
  const command = defineWaiting(
    'template update <template>',
    'Build a template again as its newest version was built, with the packages that there are now.',
  );
  return buildOptions(command)
    .option('--apps', 'of an OS template: and the apps that are to be built again on it')
    .action((name: string, options: BuildOptions) =>
      runBuild('template update', options, (context) => configOf(sessionOf(context), name)),
    );
}
