/** Finds out which programs changed the paths of a mounted env. */
import { lstatSync, type Stats } from 'node:fs';
import { ByrefError } from '../../../base/error.ts';
import type { Ino, Name } from '../../../base/ids.ts';
import type { EnvRow, Store } from '../../../store/store.ts';
import type { EnvChange } from '../../envs/diff.ts';
import { type Writers, writersOf } from '../../envs/writers.ts';

/** Returns the writers of an env; null if it is not mounted with its writers traced. */
export async function writersIfTraced(store: Store, row: EnvRow): Promise<Writers | null> {
  try {
    return await writersOf(store, row);
  } catch (error) {
    if (error instanceof ByrefError && (error.code === 'usage' || error.code === 'notFound')) {
      return null;
    }
    throw error;
  }
}

/** Looks up writers by path in a mount; paths are binary strings. */
export class PathWriters {
  private readonly mountpoint: Buffer;
  private readonly writers: Writers | null;

  constructor(mountpoint: string, writers: Writers | null) {
    this.mountpoint = Buffer.from(mountpoint);
    this.writers = writers;
  }

  /** Returns the last programs that changed a path, with the last one last; none if unknown. */
  of({ kind, path }: EnvChange): readonly string[] {
    if (this.writers === null) return [];
    if (kind !== 'D') return this.writers.inodes.get(this.stat(path)?.ino as Ino) ?? [];
    const slash = path.lastIndexOf('/');
    const dir = this.stat(path.slice(0, slash) || '/')?.ino as Ino;
    return this.writers.removed.get(dir)?.get(path.slice(slash + 1) as Name) ?? [];
  }

  isDirectory(path: string): boolean {
    return this.stat(path)?.isDirectory() ?? false;
  }

  private stat(path: string): Stats | undefined {
    const file = Buffer.concat([this.mountpoint, Buffer.from(path, 'latin1')]);
    return lstatSync(file, { throwIfNoEntry: false });
  }
}
