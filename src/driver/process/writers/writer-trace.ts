import type { Ino, Name } from '../../../base/ids.ts';
import type { WritersPage, WritersRequest } from '../../../ipc/protocol.ts';
import type { WriterNotes } from '../../core/traced.ts';
import { Callers } from './callers.ts';
import type { KeptLines } from './kept-lines.ts';
import { WriterLists } from './writer-lists.ts';

/** The size of a page in characters: well below MAX_LINE, even if each takes two bytes. */
const PAGE_SIZE = 2 * 1024 * 1024;
/** Characters for an inode and the number of its list; for a removed name, those besides the name. */
const ENTRY_SIZE = 40;

const NOBODY = -1;

/** A line of what is kept: an inode number, or `DIR/NAME`, and the program that changed it. The first line is the time of the mount. */
type Note = readonly [key: number | string, program: string];

/**
 * Notes which programs changed what in one env since it was mounted: in memory, and in lines for the driver that goes on if this one is
 * killed. An inode stays noted when it is gone: whoever asks knows which ones exist.
 */
export class WriterTrace implements WriterNotes {
  program = NOBODY;
  private since = new Date().toISOString();
  private readonly kept: KeptLines;
  /** How many lines would say all that is noted. */
  private needed = 0;
  private readonly callers = new Callers();
  private readonly lists = new WriterLists();
  /** The list of each inode number, or of `DIR/NAME` for a name that was removed; in the order of the first change. */
  private readonly noted = new Map<number | string, number>();

  /** @param kept the lines of the mount; those that are there are gone on with */
  constructor(kept: KeptLines) {
    this.kept = kept;
    const lines = kept.read();
    if (lines.length === 0) kept.add(JSON.stringify(this.since));
    for (const line of lines) this.takeOver(JSON.parse(line) as string | Note);
  }

  /**
   * Makes the program that `pid` runs the present one, and returns null; or returns a promise, after which to ask
   * again.
   */
  readonly identify = (pid: number): Promise<void> | null => {
    const program = this.callers.programOf(pid);
    if (typeof program !== 'string') return program;
    this.program = program === '' ? NOBODY : this.lists.programId(program);
    return null;
  };

  wrote(ino: Ino, program: number): void {
    this.note(ino, program);
  }

  removed(dir: Ino, name: Name, program: number): void {
    this.note(`${dir}/${name}`, program);
  }

  /** Returns at most `limit` notes, from entry `after` on. */
  page({ after, limit }: WritersRequest): WritersPage {
    const page = new Page(this.lists);
    let at = 0;
    for (const [key, list] of this.noted) {
      if (at >= after + limit || page.isFull) break;
      if (at++ >= after) page.add(key, list);
    }
    const next = at < this.noted.size ? at : null;
    return { since: this.since, ...page.content, next };
  }

  /** Lets go of the file. */
  close(): void {
    this.kept.close();
  }

  private note(key: number | string, program: number): void {
    if (program === NOBODY || !this.set(key, program)) return;
    this.kept.add(JSON.stringify([key, this.lists.nameOf(program)] satisfies Note));
    if (!this.kept.isLong(this.needed)) return;
    const notes = [...this.noted].flatMap(([each, list]) =>
      this.lists.names(list).map((name): Note => [each, name]),
    );
    this.kept.replace([this.since, ...notes].map((each) => JSON.stringify(each)));
  }

  /** Returns true if the note says something new. */
  private set(key: number | string, program: number): boolean {
    const before = this.noted.get(key) ?? 0;
    const after = this.lists.with(before, program);
    if (after === before) return false;
    this.noted.set(key, after);
    this.needed += this.lists.length(after) - this.lists.length(before);
    return true;
  }

  private takeOver(line: string | Note): void {
    if (typeof line === 'string') this.since = line;
    else this.set(line[0], this.lists.programId(line[1]));
  }
}

/** Collects the entries of one page, and renumbers the lists that they name. */
class Page {
  readonly content = {
    writers: [] as string[][],
    inodes: [] as number[],
    removed: [] as [dir: number, name: string, writers: number][],
  };
  private readonly lists: WriterLists;
  private readonly indexes = new Map<number, number>();
  private size = 0;

  constructor(lists: WriterLists) {
    this.lists = lists;
  }

  get isFull(): boolean {
    return this.size >= PAGE_SIZE;
  }

  add(key: number | string, list: number): void {
    const index = this.indexOf(list);
    this.size += ENTRY_SIZE;
    if (typeof key === 'number') {
      this.content.inodes.push(key, index);
      return;
    }
    const slash = key.indexOf('/');
    const name = key.slice(slash + 1);
    // Any character of a name may be one that JSON writes as six.
    this.size += name.length * 6;
    this.content.removed.push([Number(key.slice(0, slash)), name, index]);
  }

  private indexOf(list: number): number {
    const known = this.indexes.get(list);
    if (known !== undefined) return known;
    const { writers } = this.content;
    const names = this.lists.names(list);
    for (const name of names) this.size += name.length * 3 + 3;
    this.indexes.set(list, writers.length);
    return writers.push(names) - 1;
  }
}
