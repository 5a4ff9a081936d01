import type { KeyedFormat, KeyedRecord } from './format.ts';
import { mergeRecords, type RecordConflict } from './three-way.ts';

/** A key that both sides changed, differently. */
export interface KeyConflict {
  /** The key's name for people: "package libssl3:amd64", "user redis". */
  readonly key: string;
  /** Its text on either side; null: that side has it no more. It may hold what is secret (shadow). */
  readonly ours: string | null;
  readonly theirs: string | null;
}

/** The contents to merge. */
export interface MergeSides {
  /** null, here and below: there is no such file. */
  readonly base: string | null;
  readonly ours: string | null;
  readonly theirs: string | null;
  /** The side that wins a conflict; ours if not given. */
  readonly prefer?: 'ours' | 'theirs';
}

/** The result of a merge. */
export interface Merged {
  /** The merged content; null if there is no such file afterwards. */
  readonly content: string | null;
  readonly conflicts: readonly KeyConflict[];
}

/** The key of a conflict in which a side is not a file of the format. */
const WHOLE_FILE = 'the whole file';

/**
 * Merges three versions of a file, key by key. If one side changed nothing, the result is the other one, byte
 * by byte. A missing file counts as one without records: the side that removed it removed them all, and what
 * the other side added stays.
 */
export function mergeKeyed(format: KeyedFormat, sides: MergeSides): Merged {
  const { base, ours, theirs, prefer = 'ours' } = sides;
  if (ours === theirs || theirs === base) return { content: ours, conflicts: [] };
  if (ours === base) return { content: theirs, conflicts: [] };
  const [b, o, t] = [base, ours, theirs].map((side) => (side === null ? [] : format.parse(side)));
  if (!b || !o || !t) {
    const content = prefer === 'ours' ? ours : theirs;
    return { content, conflicts: [{ key: WHOLE_FILE, ours, theirs }] };
  }
  const reconcile = format.reconcile?.bind(format);
  const merged = mergeRecords({ base: b, ours: o, theirs: t }, reconcile, prefer);
  // Theirs has all that ours had of its own: the result is that file, although its records were in another order.
  if (format.unordered && theirs !== null && isSameSet(merged.records, t)) {
    return { content: theirs, conflicts: described(format, merged.conflicts) };
  }
  // One side removed the file, and no record of the other side is left.
  const gone = merged.records.length === 0 && (ours === null || theirs === null);
  return {
    content: gone ? null : format.render(merged.records),
    conflicts: described(format, merged.conflicts),
  };
}

const described = (format: KeyedFormat, conflicts: readonly RecordConflict[]): KeyConflict[] =>
  conflicts.map((found) => ({ ...found, key: format.label(found.key) }));

function isSameSet(a: readonly KeyedRecord[], b: readonly KeyedRecord[]): boolean {
  if (a.length !== b.length) return false;
  const texts = (records: readonly KeyedRecord[]): string[] =>
    records.map(({ text }) => text).sort();
  const others = texts(b);
  return texts(a).every((text, at) => text === others[at]);
}
