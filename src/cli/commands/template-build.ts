import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { type BuildOptions, buildOptions, runBuild } from '../build-run.ts';
import { defineWaiting } from '../command.ts';

/** Defines the command `byref template build`. */
export default function build(): Command {
  const command = defineWaiting(
    'template build <file>',
    'Build a version of a template from packages, as a YAML file says. If it would be the newest version again, none is made.',
  );
  return buildOptions(command).action((file: string, options: BuildOptions) =>
    runBuild('template build', options, () => Promise.resolve({ file, source: readConfig(file) })),
  );
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const missing = code === 'ENOENT';
    throw new ByrefError(
      missing ? 'notFound' : 'badInput',
      missing ? `there is no ${file}` : `${file} can't be read: ${(cause as Error).message}`,
      'Name the YAML file that says what to build; docs/reference/configuration.md has one.',
      { cause },
    );
  }
}
