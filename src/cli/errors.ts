import { Damaged, isDamage } from '../base/damaged.ts';
import { ByrefError } from '../base/error.ts';
import { visibleJson } from '../base/visible.ts';
import { output } from './output.ts';
import { printOwn, sayLines } from './print.ts';

/**
 * Prints an error on stderr, and returns the exit code. For people it prints two lines: what is wrong, and what
 * to do; with --json one line, `{"error":{"code","exitCode","message","hint"}}`. A bug prints its stack.
 */
export function reportError(error: unknown, json: boolean): number {
  const known = error instanceof ByrefError ? error : fromErrno(error);
  if (json) {
    const { code, exitCode, message, hint } = known;
    printOwn(
      `${visibleJson(JSON.stringify({ error: { code, exitCode, message, hint } }))}\n`,
      output().stderr,
    );
  } else {
    const [first = '', ...more] = known.lines;
    sayLines(`byref: ${first}`, ...more, `  hint: ${known.hint}`);
    const isBug = known !== error && known.cause instanceof Error;
    if (isBug) sayLines(...((known.cause as Error).stack ?? '').split('\n'));
  }
  return known.exitCode;
}

/** Prints an error as reportError() does; one that nobody foresaw may come of damage, which is told instead. */
export async function reportFailure(error: unknown, json: boolean): Promise<number> {
  const isForeseen = error instanceof ByrefError || fromErrno(error).code !== 'error';
  if (isForeseen) return reportError(error, json);
  const { damageBehind } = await import('./damage-behind.ts');
  return reportError(await damageBehind(error), json);
}

/** Errors of paths that no file has. */
const BAD_PATH: ReadonlySet<string> = new Set(['ENAMETOOLONG', 'ELOOP', 'ENOTDIR']);

/** Converts system errors that the machine causes, not a bug. Anything else is a bug. */
function fromErrno(error: unknown): ByrefError {
  const { code, message } = error as NodeJS.ErrnoException;
  // LMDB's errors carry a number and the C library's text.
  if (code === 'EACCES' || code === 'EPERM' || message.startsWith('Permission denied')) {
    return new ByrefError('unsupported', message, 'Run byref as root.');
  }
  if (code === 'ENOSPC' || code === 'EDQUOT' || message.startsWith('No space left')) {
    const hint = 'Free some space on the file system of the root, then run this again.';
    return new ByrefError('noSpace', message.replace(/^E[A-Z]+: /, ''), hint);
  }
  if (code === 'EROFS') {
    return new ByrefError('unsupported', message, 'The file system is read-only: remount it.');
  }
  if (isDamage(error)) return new Damaged(message);
  if (code !== undefined && BAD_PATH.has(code)) {
    return new ByrefError('badInput', message, 'Give another path.');
  }
  const hint = 'This is a bug in byref: please report it with the text below.';
  return new ByrefError('error', message || String(error), hint, { cause: error });
}
