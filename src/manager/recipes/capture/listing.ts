/**
 * Records who wrote what of a captured template, in a file in the template: so it has versions, can be seen in
 * an env, and be compared. A line is PROGRAMS, a tab, PATH. Programs are separated by ", ", with the last
 * writer last; "-" stands for unknown.
 */

const DIR = '/var/lib/byref/captured';

/** Returns the path of a template's listing. @param name the template's */
export const listingPath = (name: string): string => `${DIR}/${name}.list`;

/** Stands for unknown programs. */
export const UNKNOWN = '-';

const BETWEEN = ', ';
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\\': '\\\\' };

/** Returns programs as in the listing. */
export const programsText = (programs: readonly string[]): string =>
  programs.length === 0 ? UNKNOWN : programs.join(BETWEEN);

/** Returns a listing. Paths are binary strings, and so is the result. */
export function renderListing(
  entries: Iterable<{ readonly path: string; readonly programs: readonly string[] }>,
): string {
  const lines = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1)).map(lineOf);
  return lines.join('');
}

const lineOf = ({ path, programs }: { path: string; programs: readonly string[] }): string =>
  `${Buffer.from(programsText(programs)).toString('latin1')}\t${escaped(path)}\n`;

const escaped = (path: string): string => path.replace(/[\n\t\\]/g, (each) => ESCAPES[each] ?? '');

/** Returns the programs that wrote a path; null if the listing does not have it. @param listing a binary string */
export function programsIn(listing: string, path: string): readonly string[] | null {
  const end = `\t${escaped(path)}`;
  const line = listing.split('\n').find((each) => each.endsWith(end));
  if (line === undefined) return null;
  const programs = Buffer.from(line.slice(0, -end.length), 'latin1').toString('utf8');
  return programs === UNKNOWN ? [] : programs.split(BETWEEN);
}
