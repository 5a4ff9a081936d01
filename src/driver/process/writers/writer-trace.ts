import type { Ino, Name } from '../../../base/ids.ts';
import type { WritersPage, WritersRequest } from '../../../ipc/protocol.ts';
import type { WriterNotes } from '../../core/traced.ts';
import { Callers } from './callers.ts';
import { WriterLists } from './writer-lists.ts';

/** The size of a page in characters: well below MAX_LINE, even if each takes two bytes. */
const PAGE_SIZE = 2 * 1024 * 1024;
/** Characters for an inode and the number of its list; for a removed name, those besides the name. */
const ENTRY_SIZE = 40;

const NOBODY = -1;

/**
 * Notes which programs changed what in one env since it was mounted, in memory only. An inode stays noted when it
 * is gone: whoever asks knows which ones exist.
 */
export class WriterTrace implements WriterNotes {
  program = NOBODY;
  private readonly since = new Date().toISOString();
  private readonly callers = new Callers();
  private readonly lists = new WriterLists();
  /** The list of each inode number, or of `DIR/NAME` for a name that was removed; in the order of the first change. */
  private readonly noted = new Map<number | string, number>();

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

  private note(key: number | string, program: number): void {
    if (program === NOBODY) return;
    this.noted.set(key, this.lists.with(this.noted.get(key) ?? 0, program));
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
