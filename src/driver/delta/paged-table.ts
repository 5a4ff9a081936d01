import path from 'node:path';
import { LmdbSnapshot } from '../../base/lmdb-snapshot.ts';
import type { LmdbTree } from '../../base/lmdb-tree.ts';
import { PagedFile } from './paged-file.ts';
import { type DatabaseName, type Rows, TableView } from './table-view.ts';

/** A table with more bytes is not read as a whole: at 1 MB, to copy all of it costs what it costs to open LMDB. */
const WHOLE_MAX = 2 ** 19;
const DATA = 'data.mdb';

/** Where the pages of a table come from. */
interface Source {
  database(name: DatabaseName): LmdbTree;
  /** @throws Overwritten if what was read may be of several moments */
  confirm?(): void;
  close(): void;
}

/** A link table that is read without LMDB. */
export class PagedTable<From extends Source = Source> extends TableView {
  protected readonly source: From;
  #databases: Readonly<Record<DatabaseName, Rows>>;

  protected constructor(source: From) {
    super();
    this.source = source;
    this.#databases = databasesOf(source);
    this.readMarks();
  }

  /**
   * Reads all of the table in this directory, as of one moment; null if it is too large, or written to all the time.
   * @throws Damaged if it is no table
   */
  static whole(dir: string): PagedTable | null {
    const snapshot = LmdbSnapshot.take(path.join(dir, DATA), WHOLE_MAX);
    return snapshot === null ? null : new PagedTable(snapshot);
  }

  /**
   * Opens the table in this directory, to which others may write: what it showed is of one moment if confirm() says nothing.
   * Even before, it may throw Overwritten.
   * @throws Damaged if it is no table
   */
  static open(dir: string): PagedTable {
    const file = new PagedFile(path.join(dir, DATA), false);
    try {
      return new PagedTable(file);
    } catch (error) {
      file.confirm();
      throw error;
    }
  }

  protected override rows(name: DatabaseName): Rows {
    return this.#databases[name];
  }

  override confirm(): void {
    this.source.confirm?.();
  }

  protected reload(): void {
    this.#databases = databasesOf(this.source);
    this.forgetNames();
  }

  override close(): Promise<void> {
    this.source.close();
    return Promise.resolve();
  }
}

const databasesOf = (source: Source): Record<DatabaseName, Rows> => ({
  names: source.database('names'),
  inodes: source.database('inodes'),
  marks: source.database('marks'),
  meta: source.database('meta'),
});

/**
 * The link table of an env that this process has locked. Its content is always the env's history up to `state().sequence`;
 * while the checkpoint thread writes to it, it is what it was before that.
 */
export class OwnTable extends PagedTable<PagedFile> {
  /** @param dir holds the table. @throws Damaged if it is no table; what opening it throws */
  static openOwn(dir: string): OwnTable {
    return new OwnTable(new PagedFile(path.join(dir, DATA), true));
  }

  /** Makes later reads see what the checkpoint thread has committed. */
  refresh(): void {
    this.source.renew();
    this.reload();
  }
}
