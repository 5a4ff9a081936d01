/** What fsck says: the names of its checks, and one finding. */

/**
 * Every check, in the order of the report; docs/FSCK.md has a row for each. A name, once given, keeps its meaning:
 * it is in `--json`. Its first word is the concern.
 */
export const CHECKS = [
  'root.marker',
  'root.layout',
  'root.pages',
  'root.tables',
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
  'delta.extra',
] as const;

export type CheckName = (typeof CHECKS)[number];

/** error: damage. leftover: what a command that was cut short left; it takes space and does no harm. */
export type Severity = 'error' | 'leftover';

export interface Finding {
  readonly check: CheckName;
  readonly severity: Severity;
  /** Which file, row, path or env. */
  readonly where: string;
  /** What is wrong there, and whom it concerns. */
  readonly what: string;
  /** What can be done, or what was done. */
  readonly remedy: string;
  readonly repaired: boolean;
}

/** A finding, and how it is put right without guessing, if it can be. */
export interface Found extends Omit<Finding, 'repaired'> {
  /** Puts rows right; inside a transaction with those of all findings of the concern. */
  readonly rows?: () => void;
  /** Puts files right, after that transaction. Throws why it can't. */
  readonly files?: () => void;
  /** The repair only makes way for one that byref can't do: the damage stays. */
  readonly stays?: boolean;
}

type Repair = Pick<Found, 'rows' | 'files' | 'stays'>;

export const damage = (
  check: CheckName,
  where: string,
  what: string,
  remedy: string,
  repair: Repair = {},
): Found => ({ check, severity: 'error', where, what, remedy, ...repair });

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
