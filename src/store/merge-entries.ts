import type { Name } from '../base/ids.ts';
import type { LowerEntry } from '../driver/core/ports.ts';

/**
 * Merges pages of one directory that are in cookie order; for equal cookies the first list's names come before
 * the second's, and so on. Returns the first `max` names, and the rest of the last one's cookie. This is right
 * if each list is a full page of `max` entries or all that its directory has: then no entry that a list lacks
 * can be among the first `max`.
 */
export function mergeEntries(lists: readonly (readonly LowerEntry[])[], max: number): LowerEntry[] {
  const merged: LowerEntry[] = [];
  const at = lists.map(() => 0);
  /** Names seen under the cookie that is being merged. */
  const seen = new Set<Name>();
  for (let cookie = nextCookie(lists, at); cookie !== Number.POSITIVE_INFINITY; ) {
    if (merged.length >= max) break;
    seen.clear();
    lists.forEach((list, i) => {
      for (let entry = list[at[i]!]; entry?.cookie === cookie; entry = list[++at[i]!]) {
        if (!seen.has(entry.name)) merged.push(entry);
        seen.add(entry.name);
      }
    });
    cookie = nextCookie(lists, at);
  }
  return merged;
}

function nextCookie(lists: readonly (readonly LowerEntry[])[], at: readonly number[]): number {
  let lowest = Number.POSITIVE_INFINITY;
  lists.forEach((list, i) => {
    const entry = list[at[i]!];
    if (entry !== undefined && entry.cookie < lowest) lowest = entry.cookie;
  });
  return lowest;
}
