import { type Finished, type RunOptions, run, TREE } from './program.ts';

/** Shows this tree ($1) at /mnt, and runs the rest of its arguments there as the user nobody. */
const AS_NOBODY = `
mount --bind "$1" /mnt; shift; cd /mnt
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`;

/**
 * Runs a program as a user without rights, in a mount namespace of its own where he can get to this tree: it may be in a
 * directory that is closed to him.
 *
 * @param words with paths that begin at the tree's root, as `bin/byref`
 */
export const runAsNobody = (
  words: readonly string[],
  options: RunOptions = {},
): Promise<Finished> =>
  run('unshare', ['--mount', 'sh', '-euc', AS_NOBODY, 'sh', TREE, ...words], options);
