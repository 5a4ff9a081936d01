import { CHECKS, type Finding, type Found } from './finding.ts';
import type { Checked } from './job.ts';

/** What a run found; the names are those of --json. */
export interface FsckResult {
  readonly checked: Checked;
  readonly findings: readonly Finding[];
}

/** Findings of one check that are listed: a table that is lost would be one per row. */
const LISTED_MAX = 100;

/** By concern, in the order of CHECKS; of each check the first ones, and how many more there are. */
export function report(findings: readonly Finding[]): Finding[] {
  return CHECKS.flatMap((check) => {
    const all = findings.filter((finding) => finding.check === check);
    const errors = all.filter(({ severity }) => severity === 'error');
    const leftovers = all.filter(({ severity }) => severity === 'leftover');
    return [...listed(errors), ...listed(leftovers)];
  });
}

function listed(findings: readonly Finding[]): readonly Finding[] {
  const rest = findings.slice(LISTED_MAX);
  const [first] = rest;
  if (first === undefined) return findings;
  const left = rest.filter(({ repaired }) => !repaired).length;
  const where = `${rest.length} more`;
  const what = left === rest.length ? 'of this kind' : `of this kind, ${left} of them not repaired`;
  return [...findings.slice(0, LISTED_MAX), { ...first, where, what, repaired: left === 0 }];
}

/** Damage that is still there: not what is left over, and not what was repaired. */
export const isDamaged = ({ findings }: FsckResult): boolean =>
  findings.some(({ severity, repaired }) => severity === 'error' && !repaired);

export const idOf = ({ check, where }: Pick<Found, 'check' | 'where'>): string =>
  `${check} ${where}`;
