/** Runs checks in order, and their repairs. */
import { failpoint } from '../../../base/failpoints.ts';
import type { Tables } from '../../../store/tables.ts';
import type { Finding, Found } from './finding.ts';

/** Returns a finding as it is, not repaired. */
export const asFound = ({ check, severity, where, what, remedy }: Found): Finding => ({
  check,
  severity,
  where,
  what,
  remedy,
  repaired: false,
});

/** Repairs what can be repaired of one check's findings: rows in one transaction, then files. */
export function repair(tables: Tables, found: readonly Found[]): Finding[] {
  const rows = found.flatMap((finding) => finding.rows ?? []);
  if (rows.length > 0) {
    tables.transaction(() => {
      for (const put of rows) put();
    });
    // Otherwise reads in this turn of the event loop may show the old rows.
    tables.refresh();
  }
  // A crash here leaves files unrepaired: the next run finds them.
  failpoint('fsck-rows');
  const findings = found.map(repairFiles);
  failpoint('fsck-files');
  return findings;
}

/** Repairs what a finding says of files. What its remedy needs beside that is not done. */
export function repairFiles(finding: Found): Finding {
  const { files, rows, stays = false } = finding;
  const unrepaired = asFound(finding);
  try {
    files?.();
  } catch (error) {
    const remedy = `${finding.remedy} (not now: ${(error as Error).message})`;
    return { ...unrepaired, remedy };
  }
  const done = files !== undefined || rows !== undefined;
  return { ...unrepaired, repaired: done && !stays };
}
