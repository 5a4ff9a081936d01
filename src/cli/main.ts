/** The command line. It loads the module of the given verb and no other, so that it starts fast. */

import { ByrefError } from '../base/error.ts';
import { ownWords } from '../base/own-words.ts';
import { ownOperation, takePart } from '../ipc/operation-files.ts';
import { parseArgv } from './argv.ts';
import { reportFailure } from './errors.ts';
import { mayBeHanded } from './long-verbs.ts';
import { showOnTerminals } from './output.ts';
import { loadCommand } from './registry.ts';
import { findVerb, isGroup } from './verbs.ts';

/** Lets a daemon execute the command; null if it is to be executed here. */
async function throughDaemon(
  verb: string,
  rest: readonly string[],
  words: readonly string[],
): Promise<number | null> {
  if (!mayBeHanded(verb, rest)) return null;
  return (await import('./through-daemon.ts')).handOver(words);
}

/** Runs the verb that the words name, or prints help. */
async function main(words: readonly string[]): Promise<void> {
  const { verb, rest } = parseArgv(words);
  const found = findVerb(verb);
  if (found) {
    const code = await throughDaemon(found.name, rest, words);
    if (code !== null) {
      process.exitCode = code;
      return;
    }
    const [command, { run }] = await Promise.all([loadCommand(found.name), import('./command.ts')]);
    await run(command, rest);
    return;
  }
  const { printHelp, printVersion, unknownVerb } = await import('./help.ts');
  if (rest.includes('--version') || rest.includes('-V')) printVersion();
  else if (verb === '' || isGroup(verb)) {
    const asked = rest.includes('--help') || rest.includes('-h');
    printHelp(verb, asked);
    if (!asked) throw new ByrefError('usage', 'no command given', 'See: byref --help');
  } else throw unknownVerb(verb, rest);
}

// In `byref list | head -1` the reader goes away early: not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const operation = ownOperation();
if (operation !== null) {
  takePart(operation);
  showOnTerminals(operation.terminals);
}
const words = process.argv.slice(2);
main(words).catch(async (error: unknown) => {
  process.exitCode = await reportFailure(error, ownWords(words).includes('--json'));
});
