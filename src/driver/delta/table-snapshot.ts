import path from 'node:path';
import { LmdbSnapshot, type SnapshotTree } from '../../base/lmdb-snapshot.ts';
import { type DatabaseName, type Row, type Rows, TableView } from './table-view.ts';

/** A table with more bytes is read with LMDB: at 1 MB, to copy all of it costs what it costs to open LMDB. */
const BYTES_MAX = 2 ** 19;

/** A link table as it was when it was read, all of it and without LMDB. */
export class TableSnapshot extends TableView {
  readonly #snapshot: LmdbSnapshot;
  readonly #databases: Readonly<Record<DatabaseName, Rows>>;

  private constructor(snapshot: LmdbSnapshot) {
    super();
    this.#snapshot = snapshot;
    const rowsOf = (name: DatabaseName): Rows => new SnapshotRows(snapshot.database(name));
    const [names, inodes, marks, meta] = [
      rowsOf('names'),
      rowsOf('inodes'),
      rowsOf('marks'),
      rowsOf('meta'),
    ];
    this.#databases = { names, inodes, marks, meta };
    this.readMarks();
  }

  /**
   * Reads the table in this directory; null if it is too large, or written to all the time.
   * @throws Damaged if it is no table
   */
  static take(dir: string): TableSnapshot | null {
    const snapshot = LmdbSnapshot.take(path.join(dir, 'data.mdb'), BYTES_MAX);
    return snapshot === null ? null : new TableSnapshot(snapshot);
  }

  protected override rows(name: DatabaseName): Rows {
    return this.#databases[name];
  }

  override hold(): () => void {
    return () => undefined;
  }

  override close(): Promise<void> {
    this.#snapshot.letGo();
    return Promise.resolve();
  }
}

class SnapshotRows implements Rows {
  readonly #tree: SnapshotTree;

  constructor(tree: SnapshotTree) {
    this.#tree = tree;
  }

  get(key: Buffer): Buffer | undefined {
    return this.#tree.get(key);
  }

  range(start?: Buffer, end?: Buffer, limit?: number): Iterable<Row> {
    return this.#tree.range(start, end, limit);
  }

  countFrom(start: Buffer): number {
    let count = 0;
    for (const _ of this.#tree.range(start)) count++;
    return count;
  }
}
