import { Command, CommanderError } from 'commander';
import { ByrefError } from '../base/error.ts';
import type { Patience } from '../store/patience.ts';
import { parseDuration } from './durations.ts';
import { sayAbove } from './progress.ts';
import { resolveRoot } from './root.ts';

/** The resolved global options, which every command has. */
export interface Context {
  /** Absolute path of the root. */
  readonly root: string;
  readonly json: boolean;
  /** How it waits for other processes that are in its way. */
  readonly patience: Patience;
}

interface GlobalOptions {
  readonly root?: string;
  readonly json?: boolean;
  readonly wait?: number;
}

const WAIT_MS = 60_000;

/** Defines a command with the global options. @param use commander's synopsis, such as `mount <env...>` */
export function define(use: string, description: string): Command {
  const [verb = '', ...operands] = splitUse(use);
  const command = new Command(`byref ${verb}`);
  for (const operand of operands) command.argument(operand);
  return command
    .description(description)
    .option('--root <dir>', 'the root to work on (BYREF_ROOT; /var/lib/byref)')
    .option('--json', 'print JSON with stable names')
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
}

/** Defines a command that may have to wait for another one: it has --wait, too. */
export const defineWaiting = (use: string, description: string): Command =>
  define(use, description).option(
    '--wait <time>',
    'how long to wait for other commands that have what it needs (1m); 0: not at all',
    parseDuration,
  );

/** Splits a synopsis into the verb and its operands: 'template rm <template>' -> ['template rm', '<template>']. */
function splitUse(use: string): string[] {
  const at = use.search(/ [<[]/);
  return at < 0 ? [use] : [use.slice(0, at), ...use.slice(at + 1).split(' ')];
}

/**
 * Defines a command whose last operand is the command line of another program. Options that follow its first operand are that
 * program's, as with docker; but what stands before a `--` that follows that operand is ours, as with kubectl.
 */
export const defineWrapper = (command: Command): Command => {
  WRAPPERS.add(command);
  return command;
};

const WRAPPERS = new WeakSet<Command>();

/** Returns true if `--` separates our words from those of the other program. */
function isSeparated(command: Command, words: readonly string[]): boolean {
  const end = words.indexOf('--');
  let operands = 0;
  for (let i = 0; i < end; i++) {
    const word = words[i]!;
    const option = command.options.find(({ short, long }) => word === short || word === long);
    if (option?.required === true) i++;
    else if (!word.startsWith('-')) operands++;
  }
  return operands === 1;
}

/** Resolves the global options of a command. */
export function contextOf(options: object): Context {
  const { root, json = false, wait: ms = WAIT_MS } = options as GlobalOptions;
  // With --json, standard error has one line of JSON or nothing.
  const tell = (whom: string): void => (json ? undefined : sayAbove(`byref: waiting for ${whom}`));
  return { root: resolveRoot(root), json, patience: { ms, tell } };
}

/** Runs a command. @throws ByrefError 'usage' for a wrong command line */
export async function run(command: Command, words: readonly string[]): Promise<void> {
  if (WRAPPERS.has(command)) command.passThroughOptions(!isSeparated(command, words));
  try {
    await command.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return; // --help
    // Commander puts its guess on a line of its own.
    const [first = '', ...more] = error.message.replace(/^error: /, '').split('\n');
    const guess = /Did you mean (?:one of )?(.+)[?][)]/.exec(more.join(' '))?.[1];
    const see = `See: ${command.name()} --help`;
    const hint = guess === undefined ? see : `Did you mean ${guess}? ${see}`;
    throw new ByrefError('usage', first.replaceAll("'", ''), hint);
  }
}
