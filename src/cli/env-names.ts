/** Makes the names of several envs that one command creates. */
import { ByrefError } from '../base/error.ts';

/** The name of an env to create. */
export interface NumberedName {
  readonly name: string;
  /** The env's number, from 1; null without --count. */
  readonly number: number | null;
}

/** More envs than that are a slip of the finger. */
const COUNT_MAX = 100_000;

const PLACE = /%(0\d{1,2})?d/;

/**
 * Returns the names as they are or, with a count, that many of each. The numbers count from 1, and stand at the
 * end or where a name has %d (%03d: with leading zeros).
 * @param taken refuses a name that can't be used, by throwing
 * @throws ByrefError 'usage' for a name that would occur twice, and for too many
 */
export function expandNames(
  names: readonly string[],
  count: number | null,
  taken: (name: string) => void,
): NumberedName[] {
  if (count !== null && count * names.length > COUNT_MAX) {
    const message = `${count} envs are more than one command makes`;
    throw new ByrefError('usage', message, `Give at most ${COUNT_MAX}.`);
  }
  const all = names.flatMap((name): NumberedName[] => {
    if (count === null) return [{ name, number: null }];
    const pattern = PLACE.test(name) ? name : `${name}%d`;
    return Array.from({ length: count }, (_, i) => ({
      name: withNumber(pattern, i + 1),
      number: i + 1,
    }));
  });
  const seen = new Set<string>();
  for (const { name } of all) {
    taken(name);
    if (seen.has(name)) throw new ByrefError('usage', `${name} is named twice`, 'Name it once.');
    seen.add(name);
  }
  return all;
}

/** Puts the number where the pattern has %d. */
export const withNumber = (pattern: string, number: number): string =>
  pattern.replace(PLACE, (_all, width: string | undefined) =>
    String(number).padStart(Number(width ?? 0), '0'),
  );

/** Returns true for a pattern with %d. */
export const hasNumber = (pattern: string): boolean => PLACE.test(pattern);
