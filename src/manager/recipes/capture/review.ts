/** Shows what a capture would store, for people to look at before it does. */
import { isReg } from '../../../base/mode.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { Store } from '../../../store/store.ts';
import { accountsOf } from '../../merge/accounts.ts';
import { contentAt } from '../../templates/file-content.ts';
import { type Finding, findingsIn, type NamedIds } from './findings.ts';
import { programsText } from './listing.ts';
import type { Recording } from './recording.ts';
import type { Captured, CapturedTree } from './tree.ts';

/** How much the same programs wrote. */
export interface ProgramShare {
  /** As in the listing. */
  readonly programs: string;
  readonly files: number;
  readonly bytes: number;
}

/** The contents of a capture, for a person to look at. */
export interface Review {
  /** By number of files, the largest first. */
  readonly shares: readonly ProgramShare[];
  readonly captured: readonly Captured[];
  readonly findings: readonly Finding[];
  readonly recording: Recording;
}

/** Returns the review of a captured tree. */
export function reviewOf(
  store: Store,
  { tree, captured }: CapturedTree,
  recording: Recording,
): Review {
  const below = store.lowerTree(recording.stack);
  const { of, kept } = recording.passwords;
  const opened = kept && of.length > 0;
  const place = { tree, below, ids: namedIds(store, below, recording), opened };
  return {
    shares: sharesOf(captured),
    captured,
    findings: findingsIn(captured, place),
    recording,
  };
}

/** Sums up by programs; a file with several names counts once. */
function sharesOf(captured: readonly Captured[]): ProgramShare[] {
  const shares = new Map<string, { programs: string; files: number; bytes: number }>();
  const seen = new Set<unknown>();
  for (const { node, programs: list } of captured) {
    if (node.children !== null || seen.has(node)) continue;
    seen.add(node);
    const programs = programsText(list);
    const share = shares.get(programs) ?? { programs, files: 0, bytes: 0 };
    share.files++;
    share.bytes += isReg(node.mode) ? node.size : 0;
    shares.set(programs, share);
  }
  return [...shares.values()].sort(
    (a, b) => b.files - a.files || (a.programs < b.programs ? -1 : 1),
  );
}

function namedIds(store: Store, below: LowerTree, { accounts }: Recording): NamedIds {
  const [passwd = '', group = ''] = ['/etc/passwd', '/etc/group'].map(
    (file) => contentAt(store, below, file) ?? '',
  );
  const { users, groups } = accountsOf(passwd, group);
  return {
    uids: new Set([0, ...[...users, ...accounts.added.users].map(({ uid }) => uid)]),
    gids: new Set([0, ...[...groups, ...accounts.added.groups].map(({ gid }) => gid)]),
  };
}
