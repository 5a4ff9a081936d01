/** Makes the outcome of a capture a value for programs: paths are text, not binary strings. */
import { pathToText } from '../base/ids.ts';
import { isLnk } from '../base/mode.ts';
import type { CaptureOutcome } from '../manager/recipes/capture/capture.ts';
import type { FindingKind } from '../manager/recipes/capture/findings.ts';
import type { ProgramShare } from '../manager/recipes/capture/review.ts';
import type { Verdict } from '../manager/recipes/capture/rules.ts';
import type { Captured } from '../manager/recipes/capture/tree.ts';
import { type AddedVersion, addedVersion } from './version-result.ts';

/** The outcome of a capture. Paths are absolute. */
export interface TemplateCaptured {
  /** null if the template does not exist yet. */
  readonly template: string | null;
  /** null unless it was stored. */
  readonly version: AddedVersion | null;
  readonly end: CaptureOutcome['end'];
  /** False if it is not known who wrote what. */
  readonly traced: boolean;
  /** How much the same programs wrote. */
  readonly programs: readonly ProgramShare[];
  /** What a person should look at. */
  readonly findings: readonly { readonly what: FindingKind; readonly paths: readonly string[] }[];
  /** Paths that were removed; an app can't take them away from its base. */
  readonly removed: readonly { readonly path: string; readonly programs: readonly string[] }[];
  /** What the rules removed or emptied. */
  readonly leftOut: readonly LeftOut[];
  /** Accounts that were added, with their numbers. */
  readonly accounts: {
    readonly users: CaptureAccounts['users'];
    readonly groups: CaptureAccounts['groups'];
  };
  /** Accounts whose password was set; left out unless `kept`. */
  readonly passwords: { readonly of: readonly string[]; readonly kept: boolean };
  /** Each path; only if they were asked for. */
  readonly paths?: readonly CapturedPath[];
}

type CaptureAccounts = CaptureOutcome['review']['recording']['accounts']['added'];

/** The effect of one rule. */
export interface LeftOut {
  readonly rule: string;
  readonly what: Verdict;
  /** How many files it removed or emptied. */
  readonly files: number;
  /** Their paths; only if they were asked for. */
  readonly paths?: readonly string[];
}

/** One path of a capture. */
export interface CapturedPath {
  /** Added, or changed in a directory of the base. */
  readonly kind: Captured['kind'];
  readonly path: string;
  /** The programs that wrote it. */
  readonly programs: readonly string[];
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Where a symlink leads; null for anything else. */
  readonly target: string | null;
}

/** Returns the outcome for programs. @param whole with each path */
export function captureResult(
  { end, template, version, review }: CaptureOutcome,
  whole: boolean,
): TemplateCaptured {
  const { shares, captured, findings, recording } = review;
  const { users, groups } = recording.accounts.added;
  return {
    template: template?.name ?? null,
    version: version === null ? null : addedVersion(version),
    end,
    traced: recording.traced,
    programs: shares,
    findings: findings.map(({ what, paths }) => ({ what, paths: paths.map(plain) })),
    removed: recording.removed.map((each) => ({ ...each, path: plain(each.path) })),
    leftOut: recording.ruled.map(({ rule, verdict, paths }) => ({
      rule,
      what: verdict,
      files: paths.length,
      ...(whole ? { paths: paths.map(plain) } : {}),
    })),
    accounts: { users, groups },
    passwords: { of: recording.passwords.of.map(plain), kept: recording.passwords.kept },
    ...(whole ? { paths: captured.map(capturedPath) } : {}),
  };
}

const plain = (path: string): string => pathToText(path);

const capturedPath = ({ kind, path, node, programs }: Captured): CapturedPath => ({
  kind,
  path: plain(path),
  programs,
  size: node.size,
  mode: node.mode,
  uid: node.uid,
  gid: node.gid,
  target: isLnk(node.mode) ? plain(node.target) : null,
});
