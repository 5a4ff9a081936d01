import { type Ino, isPrivateIno, ROOT_INO } from '../../base/ids.ts';
import type { Delta } from './ports.ts';
import type { TreeDiff } from './tree-diff.ts';

/**
 * Whether an env still has a directory. there: at its place, or where the env moved it. covered: the env has
 * something else in its place. removed: the env removed it.
 */
export type Reach = 'there' | 'covered' | 'removed';

/** Tells whether an env still has the directories of a change; looks at each only once. */
export class ReachedDirs {
  private readonly change: TreeDiff;
  private readonly delta: Pick<Delta, 'name' | 'inode'>;
  private readonly known = new Map<Ino, Reach>([[ROOT_INO, 'there']]);

  constructor(change: TreeDiff, delta: Pick<Delta, 'name' | 'inode'>) {
    this.change = change;
    this.delta = delta;
  }

  of(dir: Ino): Reach {
    let reach = this.known.get(dir);
    if (reach === undefined) {
      reach = this.look(dir);
      this.known.set(dir, reach);
    }
    return reach;
  }

  private look(dir: Ino): Reach {
    const place = isPrivateIno(dir) ? null : this.change.placeOf(dir);
    const own = place === null ? null : this.delta.name(place.dir, place.name);
    if (place !== null && (own === null || own.ino === dir)) return this.of(place.dir);
    const { nlink = 0, parent = 0, name = '' } = this.delta.inode(dir) ?? {};
    const isMoved =
      nlink > 0 && parent !== 0 && name !== '' && this.delta.name(parent, name)?.ino === dir;
    if (isMoved) return this.of(parent);
    return own === null || own.ino === 0 ? 'removed' : 'covered';
  }
}
