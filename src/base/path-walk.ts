/** Follows paths through a tree, as the kernel does below a root: nothing leads out of it. */

/** Linux follows so many symlinks in one path; at the next it says ELOOP. See path_resolution(7). */
export const SYMLINKS_MAX = 40;

/** A directory that a walk has reached, and the one that it came from. */
export interface Reached<Dir> {
  readonly dir: Dir;
  /** Null for the root. */
  readonly parent: Reached<Dir> | null;
}

/** What a name leads to: a directory to go on in, a symlink to follow, or null where the walk ends. */
export type Step<Dir> = { readonly dir: Dir } | { readonly target: string } | null;

/** A tree that is walked through. */
export interface Lookup<Dir> {
  /**
   * Looks up a name, which is neither empty nor "." nor "..".
   * @param isLast nothing of the path is left after the name
   */
  step(dir: Dir, name: string, isLast: boolean): Step<Dir>;
  /** Is called before a ".." of the root or an absolute symlink is followed: to the root, unless this throws. */
  leaves?(): void;
}

/** The end of a walk. */
export interface Walked<Dir> {
  /** The last directory that was reached. */
  readonly at: Reached<Dir>;
  /** The name in that directory at which the walk ended; null if it came to the end of the path. */
  readonly stoppedAt: string | null;
  /** True if it ended because the path has more than SYMLINKS_MAX symlinks. */
  readonly isLoop: boolean;
}

/** Returns the root of a tree, where walks begin. */
export const rootOf = <Dir>(dir: Dir): Reached<Dir> => ({ dir, parent: null });

/** Walks along a path, and follows each symlink in it. @param path starts at `from`, even if it begins with "/" */
export function walkPath<Dir>(from: Reached<Dir>, path: string, lookup: Lookup<Dir>): Walked<Dir> {
  // The next name is the last one.
  const rest = namesOf(path).reverse();
  let at = from;
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === '..') {
      if (at.parent === null) lookup.leaves?.();
      at = at.parent ?? at;
      continue;
    }
    const step = lookup.step(at.dir, name, rest.length === 0);
    if (step === null) return { at, stoppedAt: name, isLoop: false };
    if ('dir' in step) at = { dir: step.dir, parent: at };
    else if (links++ === SYMLINKS_MAX) return { at, stoppedAt: name, isLoop: true };
    else {
      if (step.target.startsWith('/')) {
        lookup.leaves?.();
        at = rootAbove(at);
      }
      // One by one: a target in an archive may be longer than what a call takes as arguments.
      for (const next of namesOf(step.target).reverse()) rest.push(next);
    }
  }
  return { at, stoppedAt: null, isLoop: false };
}

const namesOf = (path: string): string[] =>
  path.split('/').filter((name) => name !== '' && name !== '.');

function rootAbove<Dir>(from: Reached<Dir>): Reached<Dir> {
  let at = from;
  while (at.parent !== null) at = at.parent;
  return at;
}
