/** Copies what an env has on the machine's file system, with cp(1). */
import { ByrefError } from '../../base/error.ts';
import { failureOf, runProgram } from '../../base/run-program.ts';

const OUTPUT_MAX = 4096;

/** Where and how files are copied. */
interface CopyOptions {
  /** The directory that the words are relative to; '/' if not given. */
  readonly cwd?: string;
  /** Ends the work. */
  readonly signal?: AbortSignal;
  /** True: the caller puts the copy on disk. */
  readonly unsynced?: boolean;
}

/**
 * Copies files with all their attributes; their blocks are shared where the file system can (XFS, Btrfs). They are on disk
 * when this resolves, unless the caller wants to see to that.
 * @param what is copied, for messages: "the env"
 * @param words the sources and the target, as cp takes them after its options; relative to `cwd`
 * @param target a directory on the file system that they go to
 * @throws ByrefError 'noSpace', 'error'; then a part may be there
 */
export async function copyTree(
  what: string,
  words: readonly string[],
  target: string,
  { cwd = '/', signal, unsynced = false }: CopyOptions = {},
): Promise<void> {
  const options = { cwd, outputMax: OUTPUT_MAX, ofMore: 'end', ...(signal && { signal }) } as const;
  const commands = [
    ...(words.length > 0 ? [['cp', '--archive', '--reflink=auto', ...words]] : []),
    ...(unsynced ? [] : [['sync', '--file-system', target]]),
  ];
  for (const command of commands) {
    const ended = await runProgram(command, options);
    if (ended.code !== 0) throw copyError(what, failureOf(command, ended));
  }
}

/**
 * Makes the error of a copy that failed.
 * @param said why, in words; "No space left" is told from the rest
 */
export function copyError(what: string, said: string): ByrefError {
  const message = `${what} could not be copied: ${said}`;
  if (/No space left/.test(said))
    return new ByrefError('noSpace', message, 'Free some space, then run this again.');
  return new ByrefError('error', message, 'Nothing was made. Correct it, then run this again.');
}
