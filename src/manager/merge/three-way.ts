import type { KeyedRecord, Reconcile } from './format.ts';

/** A record that both sides changed, differently; null means that the side removed it. */
export interface RecordConflict {
  readonly key: string;
  /** null: that side removed it. */
  readonly ours: string | null;
  readonly theirs: string | null;
}

/** The records on the three sides of a merge. */
export interface RecordSides {
  readonly base: readonly KeyedRecord[];
  readonly ours: readonly KeyedRecord[];
  readonly theirs: readonly KeyedRecord[];
}

/** The outcome for one record; `text` null means that it is removed. */
interface Outcome {
  readonly text: string | null;
  readonly conflict: boolean;
}

/**
 * Merges records. The result has ours in its order, with what theirs changed and removed; what theirs added
 * comes after it, in theirs' order.
 * @param prefer the side that wins a conflict
 */
export function mergeRecords(
  sides: RecordSides,
  reconcile: Reconcile = () => null,
  prefer: 'ours' | 'theirs' = 'ours',
): { records: KeyedRecord[]; conflicts: RecordConflict[] } {
  const [base, ours, theirs] = [sides.base, sides.ours, sides.theirs].map(byOccurrence);
  const records: KeyedRecord[] = [];
  const conflicts: RecordConflict[] = [];
  const keys = new Set([...ours!.keys(), ...theirs!.keys()]);
  for (const unique of keys) {
    const key = unique.slice(unique.indexOf(' ') + 1);
    const o = ours!.get(unique) ?? null;
    const t = theirs!.get(unique) ?? null;
    const { text, conflict } = decide(key, base!.get(unique) ?? null, o, t, reconcile, prefer);
    if (text !== null) records.push({ key, text });
    if (conflict) conflicts.push({ key, ours: o, theirs: t });
  }
  return { records, conflicts };
}

function decide(
  key: string,
  base: string | null,
  ours: string | null,
  theirs: string | null,
  reconcile: Reconcile,
  prefer: 'ours' | 'theirs',
): Outcome {
  if (ours === theirs || theirs === base) return { text: ours, conflict: false };
  if (ours === base) return { text: theirs, conflict: false };
  if (ours !== null && theirs !== null) {
    const both = reconcile(key, { base, ours, theirs });
    if (both !== null) return { text: both, conflict: false };
  }
  return { text: prefer === 'ours' ? ours : theirs, conflict: true };
}

/**
 * Indexes records by "N KEY": a file may have a key several times (blank lines, a passwd edited by hand), and
 * none of them may get lost.
 */
function byOccurrence(records: readonly KeyedRecord[]): Map<string, string> {
  const counts = new Map<string, number>();
  const texts = new Map<string, string>();
  for (const { key, text } of records) {
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    texts.set(`${count} ${key}`, text);
  }
  return texts;
}

/** Merges lists as sets: the result has what either side added, and lacks what either side removed. */
export function mergeItems(
  base: readonly string[],
  ours: readonly string[],
  theirs: readonly string[],
): string[] {
  const record = (item: string): KeyedRecord => ({ key: item, text: item });
  const unique = (items: readonly string[]): KeyedRecord[] => [...new Set(items)].map(record);
  const sides = { base: unique(base), ours: unique(ours), theirs: unique(theirs) };
  return mergeRecords(sides).records.map(({ text }) => text);
}
