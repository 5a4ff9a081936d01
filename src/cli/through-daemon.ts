/**
 * Hands commands that take long to the daemon, if one runs: as operations, they survive this client. What they print is printed here
 * as it comes, and Ctrl-C reaches them.
 */
import { DaemonClient } from '../api/client.ts';
import { setVariables } from '../base/environment.ts';
import { ByrefError } from '../base/error.ts';
import { ownWords } from '../base/own-words.ts';
import { output } from './output.ts';
import { printBytes, sayLines } from './print.ts';
import { resolveRoot } from './root.ts';

/** Lets the daemon execute a command. Returns its exit code; null if no daemon runs. */
export async function handOver(words: readonly string[]): Promise<number | null> {
  const { root, others } = takeRoot(words);
  const daemon = await DaemonClient.find(resolveRoot(root));
  if (daemon === null) return null;
  const { id } = await daemon.start({
    words: others,
    cwd: process.cwd(),
    environment: {
      ...setVariables(),
      ...(process.stdout.isTTY && { COLUMNS: String(process.stdout.columns) }),
    },
    terminals: (['stdout', 'stderr'] as const).filter((name) => process[name].isTTY),
  });
  return followOperation(daemon, id);
}

/** Prints what an operation prints, passes Ctrl-C on, and returns its exit code. */
export async function followOperation(daemon: DaemonClient, id: number): Promise<number> {
  const cancel = (): void => void daemon.cancel(id).catch(() => undefined);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, cancel);
  for await (const part of daemon.output(id)) {
    if ('exitCode' in part) return part.exitCode;
    const { stdout, stderr } = output();
    if ('stdout' in part) printBytes(Buffer.from(part.stdout, 'base64'), stdout);
    else printBytes(Buffer.from(part.stderr, 'base64'), stderr);
  }
  sayLines(`byref: the daemon has gone; operation ${id} goes on without it`);
  const hint = `When the daemon runs again: byref operation wait ${id}`;
  throw new ByrefError('error', 'the end of the command was not seen', hint);
}

/** Takes --root out of words: a daemon has one of its own. */
function takeRoot(words: readonly string[]): { root: string | undefined; others: string[] } {
  const own = ownWords(words);
  const others: string[] = [];
  let root: string | undefined;
  for (let i = 0; i < own.length; i++) {
    const word = own[i]!;
    if (word === '--root') root = own[++i];
    else if (word.startsWith('--root=')) root = word.slice('--root='.length);
    else others.push(word);
  }
  return { root, others: [...others, ...words.slice(own.length)] };
}
