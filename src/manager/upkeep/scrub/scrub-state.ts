/** Remembers how far a scrub has come, in `meta/scrub`: a file, as a scrub writes nothing to the store. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../../../base/ids.ts';
import { isNoSpace } from '../../../base/no-space.ts';
import { metaDir } from '../../../store/root.ts';

/** One round over all objects. Times are milliseconds since the epoch. */
export interface ScrubRound {
  readonly begunMs: number;
  /** null while it goes on. */
  readonly endedMs: number | null;
  readonly objects: number;
  readonly bytes: number;
}

/** How far a root was scrubbed. */
export interface ScrubState {
  /** The last object that was read; '' at the begin of a round. */
  readonly after: ObjectId | '';
  /** The round that goes on; null between two. */
  readonly round: ScrubRound | null;
  /** The last round that was ended; null before the first. */
  readonly last: ScrubRound | null;
}

const FORMAT = 1;
const NEVER: ScrubState = { after: '', round: null, last: null };

const fileOf = (root: string): string => path.join(metaDir(root), 'scrub');

/** Reads how far a root was scrubbed. What can't be read, as by an older byref, counts as never. */
export function scrubState(root: string): ScrubState {
  try {
    const { format, ...state } = JSON.parse(readFileSync(fileOf(root), 'utf8')) as ScrubState & {
      readonly format: number;
    };
    return format === FORMAT ? state : NEVER;
  } catch {
    return NEVER;
  }
}

/** Writes it, whole. On a full disk it stays as it was. */
export function saveScrubState(root: string, state: ScrubState): void {
  const next = `${fileOf(root)}.next`;
  try {
    writeFileSync(next, `${JSON.stringify({ format: FORMAT, ...state })}\n`, { mode: 0o600 });
    renameSync(next, fileOf(root));
  } catch (error) {
    rmSync(next, { force: true });
    if (!isNoSpace(error)) throw error;
  }
}
