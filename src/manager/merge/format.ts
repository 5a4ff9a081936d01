/**
 * Registry files: what many packages share, kept and merged by key. A *record* is the part of a file that one key names:
 * a line of passwd, a stanza of dpkg's status. Everything here is a binary string (latin1), so any bytes come back.
 */

export interface KeyedRecord {
  /** Within the file; the n-th record of one key is matched with the n-th of the other side. */
  readonly key: string;
  readonly text: string;
}

/** What both sides made of one record that both have, in different texts. */
export interface Sides {
  /** null: not in the base. */
  readonly base: string | null;
  readonly ours: string;
  readonly theirs: string;
}

/** null: it can't be said, so it is a conflict. */
export type Reconcile = (key: string, sides: Sides) => string | null;

export interface KeyedFormat {
  readonly name: string;
  /** All of the content, in its order: what is not understood is a record too. null: it is no such file at all. */
  parse(content: string): KeyedRecord[] | null;
  render(records: readonly KeyedRecord[]): string;
  /** A record as people name it: "user redis". */
  label(key: string): string;
  readonly reconcile?: Reconcile;
  /** The order of the records says nothing: programs write them in their own. */
  readonly unordered?: true;
}
