import type { NodeId } from '../../base/ids.ts';
import type { FileSystem } from '../core/api.ts';
import type { Paths } from './paths.ts';

/** The open files by the core's handle number, each with its node, which stays counted while the file is open. */
export class OpenFiles {
  readonly #fs: FileSystem;
  readonly #paths: Paths;
  readonly #nodes = new Map<number, NodeId>();

  constructor(fs: FileSystem, paths: Paths) {
    this.#fs = fs;
    this.#paths = paths;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Adds an open file, and takes over the caller's count of `node`. */
  add(fh: number, node: NodeId): void {
    this.#nodes.set(fh, node);
  }

  node(fh: number): NodeId | undefined {
    return this.#nodes.get(fh);
  }

  close(fh: number): void {
    const node = this.#nodes.get(fh);
    if (node === undefined) return;
    this.#nodes.delete(fh);
    this.#fs.release(fh);
    this.#paths.drop(node);
  }
}
