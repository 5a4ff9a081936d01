/**
 * The model for registry files: files that many packages share, merged by key. A *record* is the part of a file
 * that one key names: a line of passwd, or a stanza of dpkg's status. All texts are binary strings (latin1), so
 * that any bytes are preserved.
 */

/** One record of a file. */
export interface KeyedRecord {
  /**
   * Names the record within the file. If a key occurs several times, its n-th record is matched with the n-th
   * of the other side.
   */
  readonly key: string;
  readonly text: string;
}

/** The texts of one record that both sides have, and have differently. */
export interface Sides {
  /** null if the base does not have the record. */
  readonly base: string | null;
  readonly ours: string;
  readonly theirs: string;
}

/** Merges one record that both sides changed; null means a conflict. */
export type Reconcile = (key: string, sides: Sides) => string | null;

/** A kind of registry file: how it is read, written and merged. */
export interface KeyedFormat {
  readonly name: string;
  /**
   * Splits the content into records in order; parts that are not understood are records, too. null if it is not
   * such a file at all.
   */
  parse(content: string): KeyedRecord[] | null;
  render(records: readonly KeyedRecord[]): string;
  /** Returns a record's name for people: "user redis". */
  label(key: string): string;
  readonly reconcile?: Reconcile;
  /** Set if the order of records has no meaning: programs write them in an order of their own. */
  readonly unordered?: true;
}
