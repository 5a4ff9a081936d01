import type { KeyConflict } from './merge.ts';

/**
 * A conflict in a sentence. It says nothing of the values, for they may be secret, or long.
 * @param sides how people call the two: "the env", "template nginx"
 * @param kept which of the two stayed
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
