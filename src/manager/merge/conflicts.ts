import type { KeyConflict } from './merge.ts';

/**
 * Describes a conflict in a sentence, without the values: they may be secret, or long.
 * @param sides what people call the two sides: "the env", "template nginx"
 * @param kept the side whose text stayed
 */
export function describeConflict(
  path: string,
  conflict: KeyConflict,
  sides: { readonly ours: string; readonly theirs: string },
  kept: 'ours' | 'theirs' = 'ours',
): string {
  const { key, ours, theirs } = conflict;
  const what = `${path}: ${key}: `;
  const left = `${sides[kept]}'s is kept`;
  if (ours === null) return `${what}${sides.ours} removed it, ${sides.theirs} changed it; ${left}`;
  if (theirs === null) {
    return `${what}${sides.theirs} removed it, ${sides.ours} changed it; ${left}`;
  }
  return `${what}${sides.ours} and ${sides.theirs} have it differently; ${left}`;
}
