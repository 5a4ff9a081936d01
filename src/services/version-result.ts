import type { VersionRow } from '../store/store.ts';

/** A version as the use cases that add one return it. */
export interface AddedVersion extends Omit<VersionRow, 'dateMs' | 'config'> {
  /** When it was added. ISO 8601, UTC. */
  readonly date: string;
}

/** Returns a row as AddedVersion. */
export function addedVersion({ dateMs, config: _, ...rest }: VersionRow): AddedVersion {
  return { ...rest, date: new Date(dateMs).toISOString() };
}
