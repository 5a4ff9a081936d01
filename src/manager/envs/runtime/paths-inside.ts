import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { rootOf, walkPath } from '../../../base/path-walk.ts';

/** What a path inside an env leads to. */
export interface FoundInside {
  /** Its path on the machine. */
  readonly path: string;
  /** Its path in the env, without symlinks. */
  readonly inside: string;
  readonly stat: Stats;
}

/**
 * Follows a path in an env, symlinks as programs in it see them; returns null if it leads nowhere. Good for looking at
 * things: who may change the env meanwhile could lead a later use of the path astray.
 */
export function resolveInRoot(mountpoint: string, file: string): FoundInside | null {
  const { at, stoppedAt, isLoop } = walkPath(rootOf(''), file, {
    step(parent, name) {
      const inside = `${parent}/${name}`;
      const stat = lstatSync(mountpoint + inside, { throwIfNoEntry: false });
      if (stat?.isSymbolicLink()) return { target: readlinkSync(mountpoint + inside) };
      return stat?.isDirectory() ? { dir: inside } : null;
    },
  });
  if (isLoop) return null;
  const inside = stoppedAt === null ? at.dir : `${at.dir}/${stoppedAt}`;
  const stat = lstatSync(mountpoint + inside, { throwIfNoEntry: false });
  return stat === undefined ? null : { path: mountpoint + inside, inside, stat };
}
