/** Copies what an env has on the machine's file system, with cp(1). */
import { ByrefError } from '../../base/error.ts';
import { runProgram } from '../../base/run-program.ts';

const OUTPUT_MAX = 4096;

/**
 * Copies files with all their attributes; their blocks are shared where the file system can (XFS, Btrfs). They are on disk
 * when this resolves.
 * @param what is copied, for messages: "the env"
 * @param words the sources and the target, as cp takes them after its options; relative to `cwd`
 * @param target a directory on the file system that they go to
 * @param signal ends the work
 * @throws ByrefError 'noSpace', 'error'; then a part may be there
 */
export async function copyTree(
  what: string,
  words: readonly string[],
  target: string,
  { cwd = '/', signal }: { readonly cwd?: string; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const options = { cwd, outputMax: OUTPUT_MAX, ofMore: 'end', ...(signal && { signal }) } as const;
  const commands = [
    ...(words.length > 0 ? [['cp', '--archive', '--reflink=auto', ...words]] : []),
    ['sync', '--file-system', target],
  ];
  for (const command of commands) {
    const { code, how, stderr } = await runProgram(command, options);
    if (code !== 0) throw failed(what, stderr.toString().trim() || how);
  }
}

function failed(what: string, said: string): ByrefError {
  const message = `${what} could not be copied: ${said}`;
  if (/No space left/.test(said))
    return new ByrefError('noSpace', message, 'Free some space, then run this again.');
  return new ByrefError('error', message, 'Nothing was made. Correct it, then run this again.');
}
