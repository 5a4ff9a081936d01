import { type Ino, isPrivateIno, type Name } from '../../../base/ids.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { EnvRow } from '../../../store/store.ts';
import type { Job } from './job.ts';

/** Stands for what is unknown because a row of the store can't be read; that is a finding elsewhere. */
export type Unknown = undefined;

/** An env's lower tree, in a store that may be damaged. */
export class EnvLowerTree {
  private readonly lower: LowerTree | Unknown;

  /** @param row null if it can't be read: then nothing is known */
  constructor({ store, doubtful }: Job, row: EnvRow | null) {
    const isKnown = row !== null && !doubtful;
    this.lower = isKnown ? attempt(() => store.lowerTree(store.resolveStack(row))) : undefined;
  }

  /** Returns the stamp that directories have if their links were counted over these versions. */
  get stamp(): number | Unknown {
    return this.lower?.stamp;
  }

  lookup(dir: Ino, name: Name): InodeRecord | null | Unknown {
    if (isPrivateIno(dir)) return null;
    return attempt(() => this.lower?.lookup(dir, name));
  }

  inode(ino: Ino): InodeRecord | null | Unknown {
    if (isPrivateIno(ino)) return null;
    return attempt(() => this.lower?.inode(ino));
  }
}

function attempt<T>(read: () => T): T | Unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}
