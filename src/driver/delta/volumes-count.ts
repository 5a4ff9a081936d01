import { lstat, opendir } from 'node:fs/promises';
import path from 'node:path';
import { BLOCK_BYTES } from '../../codec/inode-record.ts';

/** The time between two counts in ms: at least this, and at least this many times what the last one took. */
const PAUSE_MS = 10_000;
const PAUSE_FACTOR = 20;

/**
 * Counts from time to time what an env's volumes take on disk. Programs write to them without this process, so the count
 * is behind by as long as a count and a pause take.
 */
export class VolumesCount {
  readonly #directory: string;
  #stopped: AbortController | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** Bytes on disk of all files, as last counted. */
  bytes = 0;

  /** @param directory holds the volumes; it need not exist */
  constructor(directory: string) {
    this.#directory = directory;
  }

  start(): void {
    if (this.#stopped !== null) return;
    this.#stopped = new AbortController();
    void this.#count(this.#stopped.signal);
  }

  stop(): void {
    this.#stopped?.abort();
    clearTimeout(this.#timer);
    this.#stopped = null;
    this.bytes = 0;
  }

  async #count(stopped: AbortSignal): Promise<void> {
    const began = performance.now();
    const bytes = await bytesBelow(this.#directory, stopped);
    if (stopped.aborted) return;
    this.bytes = bytes;
    const pause = Math.max(PAUSE_MS, PAUSE_FACTOR * (performance.now() - began));
    this.#timer = setTimeout(() => void this.#count(stopped), pause).unref();
  }
}

/** Returns what the files below a directory take on disk, each once, in bytes; directories are not counted. */
async function bytesBelow(directory: string, stopped: AbortSignal): Promise<number> {
  const linked = new Set<number>();
  let bytes = 0;
  const left = [directory];
  for (let at = left.pop(); at !== undefined && !stopped.aborted; at = left.pop()) {
    try {
      for await (const entry of await opendir(at)) {
        const name = path.join(at, entry.name);
        if (entry.isDirectory()) left.push(name);
        else {
          const { blocks, ino, nlink } = await lstat(name);
          if (nlink === 1 || !linked.has(ino)) bytes += blocks * BLOCK_BYTES;
          if (nlink > 1) linked.add(ino);
        }
      }
    } catch {
      // Removed meanwhile, or there are no volumes.
    }
  }
  return bytes;
}
