import { FLAG_UNSYNCED, type InodeRecord } from '../../codec/inode-record.ts';
import type { Caller } from './api.ts';
import { Entries } from './entries.ts';
import { EntryBudget } from './entry-budget.ts';
import { type FdBudget, FdCache } from './fd-cache.ts';
import { HandleTable } from './handles.ts';
import { InodeTable } from './inode-table.ts';
import { letGo } from './let-go.ts';
import { LostNames } from './lost-names.ts';
import type {
  AccessRules,
  Blobs,
  Capabilities,
  Delta,
  FileCalls,
  KernelCaches,
  LowerTree,
  Passthrough,
} from './ports.ts';
import type { RecentFlip } from './recent-flip.ts';
import { Transaction } from './transaction.ts';
import { TreeSwitch } from './tree-switch.ts';
import { Unwritten } from './unwritten.ts';

/** The parts a mounted env's filesystem is made of. */
export interface Parts {
  readonly layers: LowerTree;
  readonly delta: Delta;
  readonly blobs: Blobs;
  readonly files: FileCalls;
  readonly capabilities: Capabilities;
  /** Null: every read and write comes to this process. */
  readonly passthrough: Passthrough | null;
  readonly caches: KernelCaches;
  /** Access times of directories and symlinks; by default they stay. */
  readonly accessRules?: Readonly<AccessRules>;
  /** Descriptors that may be kept open for I/O; its own 4,096 unless it shares one with others. */
  readonly fdBudget?: FdBudget;
  /** Inodes and open files that may be kept in memory; its own 100,000 unless it shares one with others. */
  readonly entryBudget?: EntryBudget;
}

/** What every operation works on: the parts, and the state of one mount. */
export interface Core extends Omit<Parts, 'layers'> {
  readonly accessRules: Readonly<AccessRules>;
  readonly caller: Caller;
  readonly layers: TreeSwitch;
  readonly entries: Entries;
  readonly inodes: InodeTable;
  readonly handles: HandleTable;
  readonly fds: FdCache;
  readonly tx: Transaction;
  readonly lost: LostNames;
  /** The present time, as files are stamped: filled by stamp(). */
  readonly clock: { sec: number; nsec: number };
  /** What the last flip took away, for a moment after it. */
  recent: RecentFlip | null;
  /** Inodes with a copy that nobody wrote to, but that somebody may still have. */
  readonly unwritten: Unwritten;
  /** Copy-ups under way, by the request that began them. */
  readonly interrupts: Map<number, { interrupted: boolean }>;
}

const DEFAULT_MAX_FDS = 4096;
const NO_ACCESS_TIMES: AccessRules = { files: 'noatime', dirs: 'noatime' };
const DEFAULT_MAX_ENTRIES = 100_000;

export function createCore(parts: Parts): Core {
  const layers = new TreeSwitch(parts.layers);
  const budget = parts.entryBudget ?? new EntryBudget(DEFAULT_MAX_ENTRIES);
  const entries = new Entries(budget, (max) => letGo(core, max));
  const core: Core = {
    ...parts,
    accessRules: parts.accessRules ?? NO_ACCESS_TIMES,
    layers,
    recent: null,
    caller: { uid: 0, gid: 0, pid: 0, request: 0 },
    entries,
    inodes: new InodeTable(layers, parts.delta, entries),
    handles: new HandleTable(entries),
    fds: new FdCache(parts.blobs, parts.fdBudget ?? { max: DEFAULT_MAX_FDS, used: 0 }),
    tx: new Transaction(parts.delta),
    lost: new LostNames(),
    clock: { sec: 0, nsec: 0 },
    unwritten: new Unwritten(),
    interrupts: new Map(),
  };
  return core;
}

/** Reads the clock once for an operation, so that all it changes carries one time. */
export function stamp(core: Core): { sec: number; nsec: number } {
  core.files.now(core.clock);
  return core.clock;
}

/** The record with ctime now: what every change of an inode starts from. */
export function changed(core: Core, record: InodeRecord): InodeRecord {
  const { sec, nsec } = core.clock;
  return { ...afterSync(core, record), ctime: sec, ctimeNs: nsec };
}

/**
 * A checkpoint fsyncs copies and takes FLAG_UNSYNCED off their records by itself. A later change must not
 * put it back: recovery would then give up bytes that are safely on disk.
 */
function afterSync(core: Core, record: InodeRecord): InodeRecord {
  if ((record.flags & FLAG_UNSYNCED) === 0) return record;
  const known = core.delta.inode(record.ino);
  if (known === null || (known.flags & FLAG_UNSYNCED) !== 0) return record;
  return { ...record, flags: known.flags, object: known.object };
}

/** A directory's record after a name in it came or went: times now, `nlink` by `subdirs` more. */
export function dirChanged(core: Core, record: InodeRecord, subdirs: number): InodeRecord {
  const { sec, nsec } = core.clock;
  return {
    ...record,
    mtime: sec,
    mtimeNs: nsec,
    ctime: sec,
    ctimeNs: nsec,
    nlink: record.nlink + subdirs,
    stamp: core.inodes.stampOf(record.ino),
  };
}
