/**
 * The verbs that a runner executes: they read the store, take no path of the client's, ask nothing, and are short or wait for
 * something outside. All others need a process of their own.
 */
const QUICK: ReadonlySet<string> = new Set([
  'list',
  'info',
  'start',
  'stop',
  'restart',
  'kill',
  'ps',
  'exec',
  'enter',
  'history',
  'df',
  'stale',
  'template list',
  'template show',
  'template log',
  'template packages',
  'volume list',
  'saved list',
]);

/** Returns true if a runner executes this verb. */
export const isQuick = (verb: string): boolean => QUICK.has(verb);
