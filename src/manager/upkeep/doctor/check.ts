/**
 * The outcome of a check. ok: as good as it can be. reduced: byref works, at the stated cost. missing: what
 * `cost` names does not work. If a check that is `required` is missing, no env can be mounted here.
 */
export type Status = 'ok' | 'reduced' | 'missing';

/** One thing that a machine has or lacks. */
export interface Check {
  /** A stable name for scripts: 'fuse.passthrough'. */
  readonly name: string;
  readonly status: Status;
  readonly required: boolean;
  /** What was found. */
  readonly found: string;
  /** What its absence costs, or what to do; '' if nothing is missing. */
  readonly cost: string;
}

/** Returns a check that is ok if `present`, and otherwise `missing`, with the cost of that. */
export function check(
  name: string,
  present: boolean,
  found: string,
  cost: string,
  absent: Status = 'missing',
): Check {
  const status = present ? 'ok' : absent;
  return { name, status, required: false, found, cost: present ? '' : cost };
}

/** Marks a check without which no env can be mounted. */
export const required = (entry: Check): Check => ({ ...entry, required: true });
