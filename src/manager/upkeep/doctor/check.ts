/**
 * ok: as good as it gets. reduced: byref works, at the stated cost. missing: what `cost` names does not
 * work. A check that is `required` and missing means that no env can be mounted here.
 */
export type Status = 'ok' | 'reduced' | 'missing';

/** One thing that a machine has or lacks. */
export interface Check {
  /** Stable, for scripts: 'fuse.passthrough'. */
  readonly name: string;
  readonly status: Status;
  readonly required: boolean;
  /** What was found. */
  readonly found: string;
  /** What its absence costs, or what to do; '' if nothing is lacking. */
  readonly cost: string;
}

/** A check that is ok if `present`, else `missing`, with the cost of that. */
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

export const required = (entry: Check): Check => ({ ...entry, required: true });
