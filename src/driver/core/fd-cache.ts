import { EINVAL, EIO } from '../../base/errno.ts';
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
  readonly max: number;
  used: number;
}

/**
 * Open descriptors for files whose bytes this process reads or writes itself. There is not one per open file: the
 * process has 20,000 at most, and an env may hold more files open than that. The least recently used one is
 * closed, and opened again by ino when needed. If others have used up the budget, each filesystem still has one.
 */
export class FdCache {
  readonly #blobs: Blobs;
  readonly #budget: FdBudget;
  /** In order of use, oldest first. */
  readonly #open = new Map<Inode, OpenFd>();
  /** For work that may take long and holds descriptors, here or elsewhere. */
  readonly turns = new Turns(AT_ONCE);

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
    return typeof entry === 'number' ? entry : entry.fd;
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

  #entry(inode: Inode): OpenFd | number {
    const known = this.#open.get(inode);
    if (known !== undefined) {
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
    if (entry.pins === 0) this.#blobs.close(entry.fd);
  }
}

/** Opens the bytes that the record names: an object read-only, a private file for reading and writing. */
export function openBytes(blobs: Blobs, inode: Inode): number {
  const { record } = inode;
  if (record.data === DATA_PRIVATE) return blobs.openPrivate(inode.ino, O_RDWR);
  if (record.data === DATA_OBJECT && record.object !== '') return blobs.openObject(record.object);
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
  const turn = fds.turns.take();
  if (turn !== null) await turn;
  try {
    return await withFdNow(fds, inode, work);
  } finally {
    fds.turns.give();
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
