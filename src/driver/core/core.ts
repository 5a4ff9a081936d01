import { isDir } from '../../base/mode.ts';
import { FLAG_UNSYNCED, type InodeRecord } from '../../codec/inode-record.ts';
import type { Caller } from './api.ts';
import { Entries } from './entries.ts';
import { EntryBudget } from './entry-budget.ts';
import { type FdBudget, FdCache } from './fd-cache.ts';
import { HandleTable } from './handles.ts';
import type { Inode } from './inode.ts';
import { InodeTable } from './inode-table.ts';
import { letGo } from './let-go.ts';
import { LostNames } from './lost-names.ts';
import type {
  AccessRules,
  Blobs,
  Capabilities,
  Delta,
  DirEntryRef,
  FileCalls,
  KernelCaches,
  LowerTree,
  Passthrough,
} from './ports.ts';
import { Quota } from './quota.ts';
import type { RecentFlip } from './recent-flip.ts';
import type { LeftMount, ResumeRecords } from './resume/records.ts';
import { Transaction } from './transaction.ts';
import { TreeSwitch } from './tree-switch.ts';
import { Unwritten } from './unwritten.ts';

/** The parts that a mounted env's filesystem is made of. */
export interface Parts {
  readonly lower: LowerTree;
  readonly delta: Delta;
  readonly blobs: Blobs;
  readonly files: FileCalls;
  readonly capabilities: Capabilities;
  /** Null if every read and write comes to this process. */
  readonly passthrough: Passthrough | null;
  readonly caches: KernelCaches;
  /** How access times of directories and symlinks are kept; by default they do not change. */
  readonly accessRules?: Readonly<AccessRules>;
  /** Limits the descriptors kept open for I/O. Without it the filesystem has 4,096 to itself. */
  readonly fdBudget?: FdBudget;
  /** Limits the inodes and open files kept in memory. Without it the filesystem has 100,000 to itself. */
  readonly entryBudget?: EntryBudget;
  /** Keeps what another driver needs to go on. Without it, none can. */
  readonly records?: ResumeRecords | null;
  /** The mount of a driver that is gone, to go on with. */
  readonly left?: LeftMount | null;
}

/** The context of every operation: the parts, and the state of one mount. */
export interface Core extends Omit<Parts, 'lower'> {
  readonly accessRules: Readonly<AccessRules>;
  readonly caller: Caller;
  readonly lower: TreeSwitch;
  readonly entries: Entries;
  readonly inodes: InodeTable;
  readonly handles: HandleTable;
  readonly fds: FdCache;
  readonly tx: Transaction;
  readonly quota: Quota;
  readonly lost: LostNames;
  /** The present time, as files are stamped with it; filled by stamp(). */
  readonly clock: { sec: number; nsec: number };
  /** The names that the last flip took away; kept for a short while after it. */
  recent: RecentFlip | null;
  /** Inodes with a private copy that nothing has written to, but that a program may still have mapped. */
  readonly unwritten: Unwritten;
  /** Names at which the env has put a file of another version than it sees, by "directory name": see noteStray(). */
  readonly strays: Map<string, DirEntryRef>;
  /** Notes what another driver would have to know of an inode: to be called when that has changed. */
  readonly noteInode: (inode: Inode) => void;
  /** Running copy-ups and range copies, by the request that began each. */
  readonly interrupts: Map<number, { interrupted: boolean }>;
}

const DEFAULT_MAX_FDS = 4096;
const NO_ACCESS_TIMES: AccessRules = { files: 'noatime', dirs: 'noatime' };
const DEFAULT_MAX_ENTRIES = 100_000;

/** Creates the state of one mount from its parts, with defaults for those left out. */
export function createCore(parts: Parts): Core {
  const lower = new TreeSwitch(parts.lower);
  const budget = parts.entryBudget ?? new EntryBudget(DEFAULT_MAX_ENTRIES);
  const entries = new Entries(budget, (max) => letGo(core, max));
  const { records = null } = parts;
  const inodes = new InodeTable(lower, parts.delta, entries, records);
  const caller = { uid: 0, gid: 0, pid: 0, request: 0 };
  const core: Core = {
    ...parts,
    accessRules: parts.accessRules ?? NO_ACCESS_TIMES,
    lower,
    recent: null,
    caller,
    entries,
    inodes,
    handles: new HandleTable(entries, records),
    fds: new FdCache(parts.blobs, parts.fdBudget ?? { max: DEFAULT_MAX_FDS, used: 0 }),
    tx: new Transaction(parts.delta, caller, records),
    quota: new Quota(
      parts.blobs.usage,
      parts.files,
      () => parts.blobs.blockBytes,
      (ino) => inodes.peek(ino)?.isOpen === true,
    ),
    lost: new LostNames(),
    clock: { sec: 0, nsec: 0 },
    unwritten: new Unwritten(),
    strays: new Map(),
    noteInode: (inode) => records?.noteInode(inode),
    interrupts: new Map(),
  };
  return core;
}

/** Reads the clock once per operation, so that everything it changes carries the same time. */
export function stamp(core: Core): { sec: number; nsec: number } {
  core.files.now(core.clock);
  return core.clock;
}

/**
 * Returns the record with its ctime set to now: the starting point for every change of an inode. A directory's links,
 * as they are in memory, are those over the versions that the env sees now.
 */
export function changed(core: Core, record: InodeRecord): InodeRecord {
  const { sec, nsec } = core.clock;
  const stamp = isDir(record.mode) ? core.inodes.stampOf(record.ino) : record.stamp;
  return { ...afterSync(core, record), ctime: sec, ctimeNs: nsec, stamp };
}

/**
 * Keeps a later change from setting FLAG_UNSYNCED again. A checkpoint fsyncs copies and clears the flag by itself;
 * if it came back, recovery would give up bytes that are safely on disk.
 */
function afterSync(core: Core, record: InodeRecord): InodeRecord {
  if ((record.flags & FLAG_UNSYNCED) === 0) return record;
  const known = core.delta.inode(record.ino);
  if (known === null || (known.flags & FLAG_UNSYNCED) !== 0) return record;
  return { ...record, flags: known.flags, object: known.object };
}

/** Returns a directory's record after a name in it came or went: times set to now, and `subdirs` added to `nlink`. */
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
