/** Determines the symlinks that follow from merged state files of update-alternatives(1). */
import type { LowerTree } from '../../../driver/core/ports.ts';
import { alternativeLinks } from '../../merge/alternatives.ts';
import { recordAt } from '../../templates/walk-version.ts';

/** A symlink that the composition needs. */
export interface Symlink {
  readonly path: string;
  /** null if nothing may be there. */
  readonly target: string | null;
}

const STATES = '/var/lib/dpkg/alternatives/';

/** Returns the symlinks that the stack shows differently. @param contents of merged registry files, by path */
export function composedLinks(
  lower: LowerTree,
  contents: ReadonlyMap<string, string | null>,
): Symlink[] {
  const links: Symlink[] = [];
  for (const [path, content] of contents) {
    if (!path.startsWith(STATES) || content === null) continue;
    for (const link of alternativeLinks(path.slice(STATES.length), content) ?? []) {
      // A manual page that was not installed has no link.
      const isThere = link.needs === null || recordAt(lower, link.needs) !== null;
      const target = isThere ? link.target : null;
      const shown = recordAt(lower, link.path);
      if ((shown?.target ?? '') !== (target ?? '')) links.push({ path: link.path, target });
    }
  }
  return links;
}
