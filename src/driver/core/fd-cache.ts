import { EINVAL, EIO } from '../../base/errno.ts';
import { type Keeper, keptDescriptors } from '../../base/kept-descriptors.ts';
import { O_RDWR } from '../../base/mode.ts';
import { DATA_NONE, DATA_OBJECT, DATA_PRIVATE } from '../../codec/inode-record.ts';
import type { Inode } from './inode.ts';
import type { Blobs } from './ports.ts';
import { Turns } from './turns.ts';

interface OpenFd {
  readonly fd: number;
  pins: number;
  doomed: boolean;
}

/**
 * The most long calls of one filesystem that hold descriptors at a time. The thread pool works at fewer: see
 * src/driver/process/pool-shares.ts.
 */
const AT_ONCE = 32;

/** The limit on descriptors open for I/O, over all the filesystems that share this budget. */
export interface FdBudget {
  max: number;
  used: number;
  /** For long calls of all these filesystems; its bound is far above that of one where descriptors are not short. */
  readonly turns?: Turns;
}

/** What get() returned last in this turn of the event loop stays open: an operation uses two at most. */
const IN_USE = 2;

/**
 * Open descriptors for files whose bytes this process reads or writes itself. There is not one per open file: the
 * process has 20,000 at most, and an env may hold more files open than that. The least recently used one is
 * closed, and opened again by ino when needed. If others have used up the budget, each filesystem still has one.
 */
export class FdCache implements Keeper {
  used = 0;
  readonly #blobs: Blobs;
  readonly #budget: FdBudget;
  /** In order of use, oldest first. */
  readonly #open = new Map<Inode, OpenFd>();
  /** For work that may take long and holds descriptors, here or elsewhere. */
  readonly #turns = new Turns(AT_ONCE);
  #recent: OpenFd[] = [];

  constructor(blobs: Blobs, budget: FdBudget) {
    this.#blobs = blobs;
    this.#budget = budget;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Returns a descriptor on the inode's bytes, valid until this process next returns to its event loop; or -errno. */
  get(inode: Inode): number {
    const entry = this.#entry(inode);
    if (typeof entry === 'number') return entry;
    if (this.#recent.at(-1) !== entry) this.#recent = [...this.#recent, entry].slice(-IN_USE);
    return entry.fd;
  }

  /** Like get(), for work on the thread pool: the descriptor stays open until unpin(). */
  pin(inode: Inode): OpenFd | number {
    const entry = this.#entry(inode);
    if (typeof entry === 'number') return entry;
    entry.pins++;
    return entry;
  }

  unpin(entry: OpenFd): void {
    entry.pins--;
    if (entry.doomed && entry.pins === 0) this.#blobs.close(entry.fd);
  }

  /** Takes over a descriptor that is already open. */
  put(inode: Inode, fd: number): void {
    this.drop(inode);
    this.#insert(inode, fd);
  }

  /** Closes the inode's descriptor, because its bytes moved or are no longer needed. */
  drop(inode: Inode): void {
    const entry = this.#open.get(inode);
    if (entry === undefined) return;
    this.#open.delete(inode);
    this.#close(entry);
  }

  clear(): void {
    for (const entry of this.#open.values()) this.#close(entry);
    this.#open.clear();
  }

  /** Closes all that no call uses. */
  rest(): void {
    for (const [inode, entry] of this.#open) {
      if (entry.pins > 0 || this.#recent.includes(entry)) continue;
      this.#open.delete(inode);
      this.#close(entry);
    }
  }

  /** Takes a turn for a long call. Returns null if it is now, else a promise of it. Who took one gives it back. */
  takeTurn(): Promise<void> | null {
    const own = this.#turns.take();
    const { turns } = this.#budget;
    if (turns === undefined) return own;
    if (own === null) return turns.take();
    return own.then(() => turns.take() ?? undefined);
  }

  /** How many long calls of this filesystem have their turn, and how many wait for it. */
  get turns(): Turns['state'] {
    return this.#turns.state;
  }

  giveTurn(): void {
    this.#turns.give();
    this.#budget.turns?.give();
  }

  #entry(inode: Inode): OpenFd | number {
    const known = this.#open.get(inode);
    if (known !== undefined) {
      keptDescriptors.touch(this);
      if (this.#budget.used > this.#budget.max / 2) {
        this.#open.delete(inode);
        this.#open.set(inode, known);
      }
      return known;
    }
    const fd = openBytes(this.#blobs, inode);
    return fd < 0 ? fd : this.#insert(inode, fd);
  }

  #insert(inode: Inode, fd: number): OpenFd {
    if (this.#budget.used >= this.#budget.max) this.#evict();
    this.#budget.used++;
    keptDescriptors.opened(this, 1);
    const entry = { fd, pins: 0, doomed: false };
    this.#open.set(inode, entry);
    return entry;
  }

  #evict(): void {
    for (const [inode, entry] of this.#open) {
      if (entry.pins > 0) continue;
      this.#open.delete(inode);
      this.#close(entry);
      return;
    }
  }

  #close(entry: OpenFd): void {
    entry.doomed = true;
    this.#budget.used--;
    keptDescriptors.closed(this, 1);
    if (entry.pins === 0) this.#blobs.close(entry.fd);
  }
}

/** Opens the bytes that the record names: an object read-only, a private file for reading and writing. */
export function openBytes(blobs: Blobs, inode: Inode): number {
  const { record } = inode;
  if (record.data === DATA_PRIVATE) return blobs.openPrivate(inode.ino, O_RDWR);
  if (record.data === DATA_OBJECT && record.object !== '') {
    return blobs.openObject(record.object, record.size);
  }
  return -EIO;
}

/**
 * Runs work on the thread pool with the inode's descriptor, which stays open meanwhile. It takes a turn first, so that an
 * env's programs can't make this process open more files than it may.
 */
export async function withFd(
  fds: FdCache,
  inode: Inode,
  work: (fd: number) => Promise<number>,
): Promise<number> {
  const turn = fds.takeTurn();
  if (turn !== null) await turn;
  try {
    return await withFdNow(fds, inode, work);
  } finally {
    fds.giveTurn();
  }
}

/** Like withFd(), for work that has its turn. */
export async function withFdNow(
  fds: FdCache,
  inode: Inode,
  work: (fd: number) => Promise<number>,
): Promise<number> {
  if (inode.record.data === DATA_NONE) return -EINVAL;
  const entry = fds.pin(inode);
  if (typeof entry === 'number') return entry;
  try {
    return await work(entry.fd);
  } finally {
    fds.unpin(entry);
  }
}
