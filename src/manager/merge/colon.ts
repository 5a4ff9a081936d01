/** passwd(5), shadow(5), group(5), gshadow(5), subuid(5): records of fields between colons, keyed by the first. */
import type { KeyedFormat, Sides } from './format.ts';
import { lineFormat } from './lines.ts';
import { mergeItems } from './three-way.ts';

/** @param lists which fields are lists of names between commas */
function colonFormat(name: string, noun: string, lists: readonly number[] = []): KeyedFormat {
  return lineFormat({
    name,
    noun,
    keyOf: (line) => /^([^:#\s][^:]*):/.exec(line)?.[1] ?? null,
    reconcile: (_key, sides) => mergeFields(sides, lists),
  });
}

/**
 * Field by field: the shell that an env set and the home that a template moved go together. Two that can't be brought together
 * leave the record whole, so that no password is found with another's age.
 */
function mergeFields({ base, ours, theirs }: Sides, lists: readonly number[]): string | null {
  const [b, o, t] = [base ?? '', ours, theirs].map((line) => line.split(':'));
  if (o!.length !== t!.length || (base !== null && b!.length !== o!.length)) return null;
  const merged: string[] = [];
  for (const [at, mine] of o!.entries()) {
    const other = t![at]!;
    const old = base === null ? null : b![at]!;
    if (mine === other || other === old) merged.push(mine);
    else if (mine === old) merged.push(other);
    else if (lists.includes(at)) merged.push(mergeLists(old ?? '', mine, other));
    else return null;
  }
  return merged.join(':');
}

function mergeLists(base: string, ours: string, theirs: string): string {
  const [b, o, t] = [base, ours, theirs].map((list) => list.split(',').filter(Boolean));
  return mergeItems(b!, o!, t!).join(',');
}

export const PASSWD = colonFormat('passwd', 'user');
export const SHADOW = colonFormat('shadow', 'user');
export const GROUP = colonFormat('group', 'group', [3]);
/** Administrators and members. */
export const GSHADOW = colonFormat('gshadow', 'group', [2, 3]);
/** A user may have several ranges: the n-th is matched with the n-th. */
export const SUBIDS = colonFormat('subids', 'subordinate ids of');
