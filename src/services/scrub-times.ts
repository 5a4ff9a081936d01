import { scrubState } from '../manager/upkeep/scrub/scrub-state.ts';
import { knownDamage } from '../store/known-damage.ts';

/** When a root was scrubbed, and what was found. */
export interface ScrubTimes {
  /** True if a round was begun, and is not ended. */
  readonly goesOn: boolean;
  /** When the last whole round was ended, in ms since the epoch; null if none was. */
  readonly endedMs: number | null;
  /** How many objects are known to be damaged. */
  readonly damaged: number;
}

/** Returns when a root was scrubbed. Reads two small files. */
export function scrubTimes(root: string): ScrubTimes {
  const { round, last } = scrubState(root);
  return {
    goesOn: round !== null,
    endedMs: last?.endedMs ?? null,
    damaged: knownDamage(root).length,
  };
}
