import { type Name, type NodeId, nameFromText, ROOT_INO } from '../../base/ids.ts';
import type { FileSystem, Node, Result } from '../core/api.ts';

const ROOT: Node = { node: ROOT_INO as number as NodeId };
const EILSEQ = 84;
/** The character that the add-on puts for bytes that are not UTF-8; the bytes themselves are lost. */
const REPLACEMENT = '\uFFFD';

/** A path's directory, and its name in there. */
export interface Place {
  readonly parent: NodeId;
  readonly name: Name;
}

/**
 * Resolves libfuse's paths to the core's nodes: looks every component up, and forgets it again, so that no count
 * is kept between requests except for open files.
 */
export class Paths {
  readonly #fs: FileSystem;

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /** Returns the path's node, counted once; the caller drops it. */
  take(path: string): Result<Node> {
    if (path.includes(REPLACEMENT)) return -EILSEQ;
    let at = ROOT;
    for (const part of path.split('/')) {
      if (part === '') continue;
      const child = this.#fs.lookup(at.node, nameFromText(part));
      this.drop(at.node);
      if (typeof child === 'number') return child;
      at = { node: child.node };
    }
    return at;
  }

  drop(node: NodeId): void {
    if (node !== ROOT.node) this.#fs.forget(node, 1);
  }

  /** Runs `use` on the path's node, and drops the node when that is done. */
  with<T>(path: string, use: (node: NodeId) => T): T | number {
    const found = this.take(path);
    if (typeof found === 'number') return found;
    const { node } = found;
    const result = use(node);
    if (result instanceof Promise) void result.finally(() => this.drop(node)).catch(() => 0);
    else this.drop(node);
    return result;
  }

  /** Runs `use` on the path's directory and its name in there. */
  withPlace<T>(path: string, use: (place: Place) => T): T | number {
    const slash = path.lastIndexOf('/');
    const text = path.slice(slash + 1);
    if (text.includes(REPLACEMENT)) return -EILSEQ;
    const name = nameFromText(text);
    return this.with(path.slice(0, slash), (parent) => use({ parent, name }));
  }
}
