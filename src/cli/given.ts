/** The options by which a build or capture is given variables and files of this machine. */
import type { Command } from 'commander';
import type { GivenTexts } from '../services/given.ts';
import { append } from './repeated.ts';

/** The options as commander parses them. */
export type GivenOptions = GivenTexts;

/** Adds the options to a command. */
export const givenOptions = (command: Command): Command =>
  command
    .option<readonly string[]>(
      '-v, --bind <source>',
      'a directory or file of the host that can be read there: SOURCE or SOURCE:PLACE; may be repeated',
      append,
    )
    .option<readonly string[]>(
      '-e, --env <name[=value]>',
      'a variable of its environment, or one with the value that it has here; may be repeated',
      append,
    );
