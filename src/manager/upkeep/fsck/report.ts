import { CHECKS, type Finding, type Found } from './finding.ts';
import type { Checked } from './job.ts';

/** The result of a run; the names are those of --json. */
export interface FsckResult {
  readonly checked: Checked;
  readonly findings: readonly Finding[];
  /** After a repair: envs in which programs go on reading old files of objects until they close them. */
  readonly oldReaders?: readonly EnvReaders[];
}

/** How many open files of an env read old files of objects that were replaced. */
export interface EnvReaders {
  readonly env: string;
  readonly files: number;
}

/** How many findings of one check are listed: a lost table would otherwise be one finding per row. */
const LISTED_MAX = 100;

/** Sorts findings by concern, in the order of CHECKS. Lists the first ones of each check, and counts the others. */
export function report(findings: readonly Finding[]): Finding[] {
  return CHECKS.flatMap((check) => {
    const all = findings.filter((finding) => finding.check === check);
    const errors = all.filter(({ severity }) => severity === 'error');
    const warnings = all.filter(({ severity }) => severity === 'warning');
    const leftovers = all.filter(({ severity }) => severity === 'leftover');
    return [...listed(errors), ...listed(warnings), ...listed(leftovers)];
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

/** Returns true if there is something to do for somebody, which is no damage. */
export const hasWarnings = ({ findings }: FsckResult): boolean =>
  findings.some(({ severity }) => severity === 'warning');

/** Returns true if damage remains; leftovers, warnings and repaired damage do not count. */
export const isDamaged = ({ findings }: FsckResult): boolean =>
  findings.some(({ severity, repaired }) => severity === 'error' && !repaired);

/** Identifies a finding within a run. */
export const idOf = ({ check, where }: Pick<Found, 'check' | 'where'>): string =>
  `${check} ${where}`;
