import type { Ino } from '../../../base/ids.ts';
import type { Change } from '../../../driver/core/ports.ts';
import type { EnvDelta } from '../../../driver/delta/env-delta.ts';
import { type CheckName, damage, type Finding } from './finding.ts';

/** A finding in an env's delta. Repairs are changes like any other: one record of its journal. */
export interface DeltaFound extends Omit<Finding, 'repaired'> {
  /** The inode that it is about, where a name may soon be another one's. */
  readonly ino?: Ino;
  /** Adds to the change what puts it right, if it is still as it was found. */
  readonly change?: (delta: EnvDelta, change: Change) => void;
  /** Afterwards, for files. */
  readonly files?: (delta: EnvDelta) => void;
  /** Until it is dealt with by hand, nothing may be repaired here: what looks useless may be what is missing. */
  readonly blocks?: boolean;
}

type Details = Pick<DeltaFound, 'ino' | 'change' | 'files' | 'blocks'>;

export const deltaDamage = (
  check: CheckName,
  where: string,
  what: string,
  remedy: string,
  details: Details = {},
): DeltaFound => ({ ...damage(check, where, what, remedy), ...details });

/** Remedies that findings in deltas share. */
export const restoreEnv = (directory: string): string =>
  `restore ${directory} from a backup, or destroy the env`;
export const BY_REPAIR_UNMOUNTED = 'byref fsck --repair puts it right while the env is not mounted';
