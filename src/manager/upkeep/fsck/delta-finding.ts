import type { Ino } from '../../../base/ids.ts';
import type { Change } from '../../../driver/core/ports.ts';
import type { EnvDelta } from '../../../driver/delta/env-delta.ts';
import { type CheckName, damage, type Finding } from './finding.ts';

/** A finding in an env's delta. Repairs are ordinary changes: one record of its journal. */
export interface DeltaFound extends Omit<Finding, 'repaired'> {
  /** The inode that it is about, if a name may soon lead to another one. */
  readonly ino?: Ino;
  /** Adds the repair to the change, if the damage is still as it was found. */
  readonly change?: (delta: EnvDelta, change: Change) => void;
  /** Repairs files, after the change. */
  readonly files?: (delta: EnvDelta) => void;
  /** Nothing may be repaired here until this is dealt with by hand: what looks useless may be what is missing. */
  readonly blocks?: boolean;
}

type Details = Pick<DeltaFound, 'ino' | 'change' | 'files' | 'blocks'>;

/** Makes a finding of damage. */
export const deltaDamage = (
  check: CheckName,
  where: string,
  what: string,
  remedy: string,
  details: Details = {},
): DeltaFound => ({ ...damage(check, where, what, remedy), ...details });

/** The remedy for what byref can't repair in a delta. */
export const restoreEnv = (directory: string): string =>
  `restore ${directory} from a backup, or destroy the env`;
export const BY_REPAIR_UNMOUNTED = 'byref fsck --repair puts it right while the env is not mounted';
