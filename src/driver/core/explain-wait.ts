/** Says what a request that takes long waits for, as far as the core knows it: for the log. */
import { type Ino, inoOf, type NodeId, nameToText, ROOT_INO } from '../../base/ids.ts';
import type { Waiting } from './api.ts';
import type { Core } from './core.ts';

/** A path is given up where it has more parts: a circle, as in a damaged delta. */
const PARTS_MAX = 200;

/** Looks at a request that was not answered yet. Changes nothing. */
export function explainWait(core: Core, node: NodeId, request: number): Waiting {
  const ino = inoOf(node);
  return { path: pathOf(core, ino), what: whatOf(core, ino, request) };
}

function whatOf(core: Core, ino: Ino, request: number): string | null {
  const { inodes, interrupts, fds, quota, delta } = core;
  const inode = inodes.peek(ino);
  const { taken, waiting: others } = fds.turns;
  const turn = others > 0 ? `; ${others} calls wait for their turn behind ${taken}` : '';
  if (inode !== null && inode.copying !== null) {
    return `the copy-up of the file's ${inode.record.size} bytes${turn}`;
  }
  if (interrupts.has(request)) return `the copy of a range of bytes${turn}`;
  if (quota.isWaited) return "room in the env's limit of disk, until removed files have left it";
  if (others > 0) return `its turn: ${others} calls wait behind ${taken}`;
  return delta.isFlushing ? "the env's changes to be on disk" : null;
}

/** Returns a path of an inode in the env; null if no name leads to it. */
function pathOf({ inodes, delta, lower }: Core, ino: Ino): string | null {
  const parts: string[] = [];
  for (let at = ino; at !== ROOT_INO; ) {
    const record = inodes.peek(at)?.record ?? delta.inode(at) ?? lower.inode(at);
    if (record === null || parts.length > PARTS_MAX) return null;
    const { parent, name } = record;
    const place =
      parent !== 0 && name !== ''
        ? { dir: parent, name }
        : (delta.namesOf(at)[0] ?? lower.names(at)[0]);
    if (place === undefined) return null;
    parts.push(nameToText(place.name));
    at = place.dir;
  }
  return `/${parts.reverse().join('/')}`;
}
