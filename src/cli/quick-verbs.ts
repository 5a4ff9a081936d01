/**
 * The verbs that a runner executes: they take no path of the client's (but for OF_FILES), ask nothing, and are short or wait for something
 * outside. All others need a process of their own.
 */
const QUICK: ReadonlySet<string> = new Set([
  'list',
  'info',
  'create',
  'destroy',
  'rename',
  'set',
  'run',
  'start',
  'stop',
  'restart',
  'kill',
  'freeze',
  'thaw',
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
  'snapshot list',
]);

/** Options that name a file, which only the client finds. */
const OF_FILES = /^--(?:from-config|from-checkpoint|ssh-key|file)(?:=|$)/;

/** Returns true if a runner executes this command. @param rest the words behind the verb */
export const isQuick = (verb: string, rest: readonly string[]): boolean =>
  QUICK.has(verb) && !rest.some((word) => OF_FILES.test(word));
