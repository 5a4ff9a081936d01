/** The commands that are handed to a daemon, if one runs. */

/** Verbs that may take long, and need nothing of this process but its words, its directory and its environment. */
const LONG: ReadonlySet<string> = new Set([
  'template build',
  'template update',
  'template rm',
  'patch',
  'rollback',
  'pin',
  'follow',
  'relink',
  'clone',
  'snapshot',
  'snapshot restore',
  'app add',
  'app remove',
  'gc',
  'fsck',
  'scrub',
]);

/** Words with which even these read the input, or end at once. */
const HERE: ReadonlySet<string> = new Set(['--help', '-h', '--check', '--dry-run']);

/** Returns true if a daemon may execute the command. @param rest its words behind the verb */
export const mayBeHanded = (verb: string, rest: readonly string[]): boolean =>
  LONG.has(verb) &&
  process.env['BYREF_DAEMON'] !== 'no' &&
  process.geteuid?.() === 0 &&
  !rest.some((word) => HERE.has(word));
