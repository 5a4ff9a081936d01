/**
 * Hands commands that take long to the daemon, if one runs: as operations, they survive this client. What they print is printed here
 * as it comes, and Ctrl-C reaches them.
 */
import { DaemonClient } from '../api/client.ts';
import { setVariables } from '../base/environment.ts';
import { ByrefError } from '../base/error.ts';
import { output } from './output.ts';
import { printBytes, sayLines } from './print.ts';
import { resolveRoot } from './root.ts';

/** Lets the daemon execute a command. Returns its exit code; null if no daemon runs. */
export async function handOver(words: readonly string[]): Promise<number | null> {
  const daemon = await DaemonClient.find(resolveRoot(rootIn(words)));
  if (daemon === null) return null;
  const { id } = await daemon.start({
    words,
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

/** Returns the value of --root among words, if it is there. */
function rootIn(words: readonly string[]): string | undefined {
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  const at = own.findLastIndex((word) => word === '--root' || word.startsWith('--root='));
  if (at < 0) return undefined;
  return own[at] === '--root' ? own[at + 1] : own[at]?.slice('--root='.length);
}
