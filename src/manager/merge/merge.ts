import type { KeyedFormat, KeyedRecord } from './format.ts';
import { mergeRecords, type RecordConflict } from './three-way.ts';

/** One key that both sides changed. */
export interface KeyConflict {
  /** As people name it: "package libssl3:amd64", "user redis". */
  readonly key: string;
  /** Its text on either side; null: that side has it no more. It may hold what is secret (shadow). */
  readonly ours: string | null;
  readonly theirs: string | null;
}

export interface MergeSides {
  /** null, here and below: there is no such file. */
  readonly base: string | null;
  readonly ours: string | null;
  readonly theirs: string | null;
  /** Which side a conflict leaves; ours if not given. */
  readonly prefer?: 'ours' | 'theirs';
}

export interface Merged {
  /** null: there is no such file afterwards. */
  readonly content: string | null;
  readonly conflicts: readonly KeyConflict[];
}

/** The whole file as a key: for what is no file of the format on one of the sides. */
const WHOLE_FILE = 'the whole file';

/**
 * Three-way, key by key. A side that changed nothing leaves the other as it is, byte by byte. No file is one without records: who
 * removed it removed them all, and what the other added to it stays.
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
  // All that ours had of its own, theirs has too: it is the very file again, though its records stood in another order.
  if (format.unordered && theirs !== null && isSameSet(merged.records, t)) {
    return { content: theirs, conflicts: described(format, merged.conflicts) };
  }
  // One side removed the file, and nothing is left of what the other made of it.
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
