import type { Ino, Name } from '../../../base/ids.ts';
import type { WritersPage, WritersRequest } from '../../../ipc/protocol.ts';
import type { WriterNotes } from '../../core/traced.ts';
import { Callers } from './callers.ts';
import { WriterLists } from './writer-lists.ts';

/** Characters of a page: well below MAX_LINE, also where each takes two bytes. */
const PAGE_SIZE = 2 * 1024 * 1024;
/** Of an inode and the number of its list, or of a name's beside the name. */
const ENTRY_SIZE = 40;

const NOBODY = -1;

/**
 * Which programs changed what in one env, since it was mounted: in memory alone. An inode stays on it when it is gone:
 * whoever asks knows what is there.
 */
export class WriterTrace implements WriterNotes {
  program = NOBODY;
  private readonly since = new Date().toISOString();
  private readonly callers = new Callers();
  private readonly lists = new WriterLists();
  /** List by inode number, or by `DIR/NAME` of a name that was removed; in the order of the first change. */
  private readonly noted = new Map<number | string, number>();

  /** Whoever `pid` runs becomes `program`; or a promise: then ask again. */
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

  /** What was noted from the entry `after` on, at most `limit`. */
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

/** Entries, and the lists that they name, renumbered to those alone. */
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
