import type { Command } from 'commander';
import { DEFAULT_RULES } from '../../manager/recipes/capture/rules.ts';
import { rulesText } from '../../manager/recipes/capture/rules-file.ts';
import { type CaptureCliOptions, runCapture } from '../capture-run.ts';
import { defineWaiting } from '../command.ts';
import { givenOptions } from '../given.ts';
import { printOwn } from '../print.ts';
import { append } from '../repeated.ts';

/** Defines the command `byref template capture`. */
export default function build(): Command {
  const command = defineWaiting(
    'template capture [name] [command...]',
    'Record all that a command writes as a version of an app template: byref template capture NAME --base OS -- COMMAND.',
  );
  return givenOptions(command)
    .option('--base <os>', 'the OS template that COMMAND runs on: NAME or NAME@VERSION')
    .option<readonly string[]>(
      '--app <template>',
      'an app template that is there, too; may be repeated',
      append,
    )
    .option('--from-env <env>', 'no command: record what this env changed')
    .option('--workdir <dir>', 'where COMMAND begins', '/')
    .option('--offline', 'without a network')
    .option('--ignore-status', 'store it also if COMMAND fails')
    .option('--rules <file>', 'what is noise: lists of patterns, as --show-rules prints them')
    .option('--keep-passwords', 'also passwords that were set: they open every env')
    .option('--show-rules', 'print the rules that are used without --rules, and do nothing')
    .option('--review', 'show it, and ask before it is stored')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'show it, and store nothing')
    .option('--verbose', 'with each path that the rules took out')
    .option('--note <text>', 'what to remember of it; else the command')
    .option('--label <text>', 'what the version is called')
    .action(
      async (
        name: string | undefined,
        words: string[],
        options: CaptureCliOptions & { readonly showRules?: boolean },
      ) => {
        if (options.showRules === true) printOwn(rulesText(DEFAULT_RULES));
        else await runCapture(name, words, options);
      },
    );
}
