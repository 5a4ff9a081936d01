import type { Command } from 'commander';
import { readGivenFile } from '../../base/given-files.ts';
import { type BuildOptions, buildOptions, runBuild } from '../build-run.ts';
import { defineWaiting } from '../command.ts';

const HINT = 'Name the YAML file that says what to build; docs/reference/configuration.md has one.';

/** Defines the command `byref template build`. */
export default function build(): Command {
  const command = defineWaiting(
    'template build <file>',
    'Build a version of a template from packages, as a YAML file says. If it would be the newest version again, none is made.',
  );
  return buildOptions(command).action((file: string, options: BuildOptions) =>
    runBuild('template build', options, () =>
      Promise.resolve({ file, source: readGivenFile(file, HINT) }),
    ),
  );
}
