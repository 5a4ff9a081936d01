/**
 * Formats of passwd(5), shadow(5), group(5), gshadow(5) and subuid(5): records of fields between colons, keyed
 * by the first field.
 */
import type { KeyedFormat, Sides } from './format.ts';
import { lineFormat } from './lines.ts';
import { mergeItems } from './three-way.ts';

/** Makes such a format. @param lists the indexes of fields that are lists of names between commas */
function colonFormat(name: string, noun: string, lists: readonly number[] = []): KeyedFormat {
  return lineFormat({
    name,
    noun,
    keyOf: (line) => /^([^:#\s][^:]*):/.exec(line)?.[1] ?? null,
    reconcile: (_key, sides) => mergeFields(sides, lists),
  });
}

/**
 * Merges field by field: a shell that an env set and a home that a template moved are combined. If a field
 * can't be merged, the whole record is left alone, so that no password gets another one's age.
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

/** passwd(5), by user. */
export const PASSWD = colonFormat('passwd', 'user');
/** shadow(5), by user. */
export const SHADOW = colonFormat('shadow', 'user');
/** group(5), by group; members are merged as a list. */
export const GROUP = colonFormat('group', 'group', [3]);
/** gshadow(5), by group; administrators and members are merged as lists. */
export const GSHADOW = colonFormat('gshadow', 'group', [2, 3]);
/**
 * subuid(5) and subgid(5). A user may have several ranges: the n-th of one side is matched with the n-th of the
 * other.
 */
export const SUBIDS = colonFormat('subids', 'subordinate ids of');
