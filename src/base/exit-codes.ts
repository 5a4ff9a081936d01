/**
 * Exit codes of `byref`: an interface, documented in docs/reference/exit-codes.md. A number, once given, keeps its
 * meaning for good.
 */
export const EXIT = {
  ok: 0,
  /** Something failed that has no code of its own. */
  error: 1,
  /** The command line was wrong: nothing was tried. */
  usage: 2,
  /** The named root, template, version or env does not exist. */
  notFound: 3,
  /** Something of that name exists already. */
  exists: 4,
  /** Another process holds the lock that this needs. */
  locked: 5,
  /** It is in use: mounted, followed by an env, busy. */
  busy: 6,
  /** The input was refused: hostile, truncated, or not what it says it is. */
  badInput: 7,
  /** The machine can't do it: no /dev/fuse, not root, or a kernel feature or tool is missing. */
  unsupported: 8,
  /** No space left on the device, or a limit was reached. */
  noSpace: 9,
  /** The store or an env's link table is damaged. */
  corrupt: 10,
  /**
   * There is something to do, and it was not done: `patch --check`, a capture that was not confirmed, an env in which packages
   * stayed behind for others. Not an error.
   */
  pending: 11,
  /** A patch undid itself: a health command failed, or it was interrupted. */
  unhealthy: 12,
  /** A package repository, or another machine, can't be reached, or broke off. */
  unreachable: 13,
  /** A signature does not verify, or its key is not known. */
  untrusted: 14,
} as const;

/** The name of an exit code. */
export type ExitName = keyof typeof EXIT;
