/** A kind of damage: how it is done to a healthy root, and what fsck is to say of it. */
import { expect } from 'vitest';
import type { CheckName, Finding } from '../../../src/manager/upkeep/fsck/finding.ts';
import { type FsckOptions, fsck } from '../../../src/manager/upkeep/fsck/fsck.ts';
import { copyRoot } from './healthy-root.ts';

export interface Damage {
  readonly of: string;
  /** What is found: this check, and no other. */
  readonly finds: CheckName;
  /** But for those that the same damage is to others. */
  readonly also?: readonly CheckName[];
  readonly severity?: Finding['severity'];
  /** Does it to the root at this path. */
  readonly harm: (root: string) => void | Promise<void>;
  /** In the finding: what is wrong, or where. */
  readonly says: RegExp;
  readonly remedy: RegExp;
  /** What is found after a repair: nothing, if it is not given. */
  readonly leaves?: readonly CheckName[];
  readonly full?: boolean;
  /** Looks at the root after the repair. */
  readonly after?: (root: string) => void | Promise<void>;
}

/** Remedies. */
export const REPAIR = /byref fsck --repair/;
export const BACKUP = /meta\/data\.mdb from a backup/;

export const REPAIR_UNMOUNTED = /byref fsck --repair puts it right while the env is not mounted/;
export const RESTORE_ENV = /restore .*envs\/1 from a backup, or destroy the env/;

export async function find(root: string, options: Partial<FsckOptions> = {}) {
  const { findings } = await fsck(root, { full: false, repair: false, ...options });
  return findings;
}

export const checksOf = (findings: readonly Finding[]): CheckName[] => [
  ...new Set(findings.map(({ check }) => check)),
];

const sorted = (checks: readonly CheckName[]): CheckName[] => [...new Set(checks)].sort();

/** Found, said with a remedy, repaired or not, and after that found no more, or still. */
export async function expectFound(damage: Damage): Promise<void> {
  const { finds, also = [], severity = 'error', leaves = [], full = false } = damage;
  const root = copyRoot();
  await damage.harm(root);
  const found = await find(root, { full });
  expect(sorted(checksOf(found)), JSON.stringify(found, null, 1)).toEqual(sorted([finds, ...also]));
  const finding = found.find(({ check, where, what }) => {
    return check === finds && damage.says.test(`${where}: ${what}`);
  });
  expect(finding, JSON.stringify(found, null, 1)).toBeDefined();
  expect(finding).toMatchObject({ severity, repaired: false });
  expect(finding!.remedy).toMatch(damage.remedy);

  const repaired = await find(root, { full, repair: true });
  const left = await find(root, { full });
  expect(sorted(checksOf(left)), JSON.stringify(left, null, 1)).toEqual(sorted(leaves));
  // What was said to be repaired is; what was not, is not.
  const unrepaired = repaired.filter((entry) => !entry.repaired);
  const still = new Set(left.map(({ check, where }) => `${check} ${where}`));
  for (const { check, where } of repaired.filter((entry) => entry.repaired)) {
    expect(still.has(`${check} ${where}`), `${check} ${where} was said to be repaired`).toBe(false);
  }
  if (leaves.length === 0) expect(unrepaired).toEqual([]);
  await damage.after?.(root);
  // A second repair finds nothing more to do.
  const again = await find(root, { full, repair: true });
  expect(again.filter((entry) => entry.repaired)).toEqual([]);
}
