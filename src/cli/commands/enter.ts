import type { Command } from 'commander';
import { contextOf, define } from '../command.ts';
import { type ExecWords, execOptions, runInEnv } from '../exec-run.ts';
import { output, setExitCode } from '../output.ts';

/** Starts the shell that the user has in the env, as a login shell; sh if it has none. */
const LOGIN = [
  '/bin/sh',
  '-c',
  'shell=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f7); test -n "$shell" || shell=/bin/sh; exec "$shell" -l',
];

/** Defines the command `byref enter`. */
export default function build(): Command {
  const command = define('enter <env>', 'Open a shell in a running env.');
  return execOptions(command).action(async (env: string, options: ExecWords) => {
    const isTerminal = output().inputIsTerminal && output().stdout.isTTY;
    setExitCode(
      await runInEnv(contextOf(options), env, LOGIN, {
        ...options,
        tty: options.tty ?? isTerminal,
      }),
    );
  });
}
