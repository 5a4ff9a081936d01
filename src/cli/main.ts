/** The command line. It loads the module of the given verb and no other, so that it starts fast. */
import { ByrefError } from '../base/error.ts';
import { parseArgv } from './argv.ts';
import { reportError } from './errors.ts';
import { loadCommand } from './registry.ts';
import { findVerb, isGroup } from './verbs.ts';

/** Runs the verb that the words name, or prints help. */
async function main(words: readonly string[]): Promise<void> {
  const { verb, rest } = parseArgv(words);
  const found = findVerb(verb);
  if (found) {
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

const words = process.argv.slice(2);
// Words after `--` belong to another command.
const end = words.indexOf('--');
const own = end < 0 ? words : words.slice(0, end);
main(words).catch((error: unknown) => {
  process.exitCode = reportError(error, own.includes('--json'));
});
