import type { Command } from 'commander';
import { contextOf, define, defineWrapper } from '../command.ts';
import { commandWords, type ExecWords, execOptions, runInEnv } from '../exec-run.ts';
import { setExitCode } from '../output.ts';

/** Defines the command `byref exec`. */
export default function build(): Command {
  const command = define('exec <env> <command...>', 'Run a command in a running env.');
  return defineWrapper(execOptions(command)).action(
    async (env: string, words: string[], options: ExecWords) => {
      setExitCode(await runInEnv(contextOf(options), env, commandWords(words), options));
    },
  );
}
