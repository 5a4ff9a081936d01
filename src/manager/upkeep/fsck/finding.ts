/** The names of fsck's checks, and the form of a finding. */
import type { ObjectId } from '../../../base/ids.ts';
import { WRONG_SUM } from '../../../codec/row-sum.ts';

/**
 * Every check, in the order of the report; docs/internals/FSCK.md has a row for each. A name is part of `--json`, so it
 * never changes its meaning. Its first word is the concern.
 */
export const CHECKS = [
  'root.marker',
  'root.layout',
  'root.pages',
  'root.tables',
  'root.rows',
  'catalog.row',
  'catalog.names',
  'catalog.kind',
  'catalog.current',
  'catalog.newest',
  'catalog.versions',
  'catalog.staged',
  'catalog.base',
  'catalog.composition',
  'catalog.counts',
  'catalog.identity',
  'dirs.row',
  'dirs.pairs',
  'dirs.parents',
  'links.row',
  'links.template',
  'links.history',
  'links.versions',
  'links.cookie',
  'links.parent',
  'links.templateDirs',
  'links.ino',
  'links.record',
  'links.size',
  'links.nlink',
  'inodes.row',
  'inodes.names',
  'inodes.missing',
  'changes.missing',
  'changes.extra',
  'objects.row',
  'objects.refs',
  'objects.missing',
  'objects.type',
  'objects.size',
  'objects.mode',
  'objects.content',
  'objects.extra',
  'objects.unfinished',
  'objects.damaged',
  'envs.row',
  'envs.names',
  'envs.stack',
  'envs.shard',
  'envs.canary',
  'envs.composition',
  'envs.directory',
  'envs.lost',
  'envs.extra',
  'mounts.extra',
  'patches.row',
  'patches.unfinished',
  'accounts.row',
  'accounts.number',
  'counters.row',
  'counters.next',
  'delta.pages',
  'delta.table',
  'delta.row',
  'delta.marks',
  'delta.journal',
  'delta.names',
  'delta.inodes',
  'delta.links',
  'delta.dirs',
  'delta.loops',
  'delta.private',
  'delta.object',
  'delta.next',
  'delta.packages',
  'delta.dependencies',
  'delta.extra',
  'delta.lost',
] as const;

/** The name of a check. */
export type CheckName = (typeof CHECKS)[number];

/**
 * error: damage. warning: nothing of the root is damaged, and somebody has something to do. leftover: something that an
 * interrupted command left; it takes space and does no harm.
 */
export type Severity = 'error' | 'warning' | 'leftover';

/** One thing that is wrong. */
export interface Finding {
  readonly check: CheckName;
  readonly severity: Severity;
  /** The file, row, path or env. */
  readonly where: string;
  /** What is wrong there, and who is affected. */
  readonly what: string;
  /** What can be done, or what was done. */
  readonly remedy: string;
  readonly repaired: boolean;
}

/** A finding, with its repair if that is possible without guessing. */
export interface Found extends Omit<Finding, 'repaired'> {
  /** Repairs rows, in one transaction with all findings of the concern. */
  readonly rows?: () => void;
  /** Repairs files, after that transaction. Throws if it can't. */
  readonly files?: () => void;
  /** The repair only prepares one that byref can't do: the damage stays. */
  readonly stays?: boolean;
}

/** An object that is missing or damaged. */
export interface BrokenObject {
  readonly id: ObjectId;
  readonly check: CheckName;
  readonly what: string;
  /** True if something is in its place, which would keep an import from writing it. */
  readonly file: boolean;
}

type Repair = Pick<Found, 'rows' | 'files' | 'stays'>;

/** Makes a finding of severity 'error'. */
export const damage = (
  check: CheckName,
  where: string,
  what: string,
  remedy: string,
  repair: Repair = {},
): Found => ({ check, severity: 'error', where, what, remedy, ...repair });

/** Makes a finding of severity 'leftover'. */
export const leftover = (
  check: CheckName,
  where: string,
  what: string,
  remedy: string,
  repair: Repair = {},
): Found => ({ check, severity: 'leftover', where, what, remedy, ...repair });

/** Remedies that many findings share. */
export const BY_REPAIR = 'byref fsck --repair puts it right';
export const REMOVED_BY_REPAIR = 'byref fsck --repair removes it';
export const FROM_BACKUP = 'restore meta/data.mdb from a backup';
const FROM_COPY = `put back the copy that byref keeps of the store (byref fsck --restore-store), or ${FROM_BACKUP}`;

/** Returns what can be done about a row that can't be read for this reason: whose sum is right, the copy has, too. */
export const restoring = (why: string): string => (why === WRONG_SUM ? FROM_COPY : FROM_BACKUP);
