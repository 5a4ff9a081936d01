/**
 * Who wrote what of a captured template: a file in it, so that it has versions, can be seen in an env, and be compared. A line is
 * PROGRAMS, a tab, PATH; programs are separated by ", ", the last writer last; "-" where nobody knows.
 */

const DIR = '/var/lib/byref/captured';

/** @param name the template's */
export const listingPath = (name: string): string => `${DIR}/${name}.list`;

export const UNKNOWN = '-';

const BETWEEN = ', ';
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\\': '\\\\' };

export const programsText = (programs: readonly string[]): string =>
  programs.length === 0 ? UNKNOWN : programs.join(BETWEEN);

/** Paths are binary strings, and so is the text. */
export function renderListing(
  entries: Iterable<{ readonly path: string; readonly programs: readonly string[] }>,
): string {
  const lines = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1)).map(lineOf);
  return lines.join('');
}

const lineOf = ({ path, programs }: { path: string; programs: readonly string[] }): string =>
  `${Buffer.from(programsText(programs)).toString('latin1')}\t${escaped(path)}\n`;

const escaped = (path: string): string => path.replace(/[\n\t\\]/g, (each) => ESCAPES[each] ?? '');

/** Null if the listing does not have the path. @param listing a binary string */
export function programsIn(listing: string, path: string): readonly string[] | null {
  const end = `\t${escaped(path)}`;
  const line = listing.split('\n').find((each) => each.endsWith(end));
  if (line === undefined) return null;
  const programs = Buffer.from(line.slice(0, -end.length), 'latin1').toString('utf8');
  return programs === UNKNOWN ? [] : programs.split(BETWEEN);
}
