/**
 * What a driver leaves so that another one can go on with its mount, if it is killed at any moment: the part of its state
 * that only the kernel has too. All else is read from the journal and the link table.
 */
import type { Ino, NodeId } from '../../../base/ids.ts';
import type { Handle } from '../handles.ts';
import type { Inode } from '../inode.ts';
import type { LowerTree } from '../ports.ts';

/** An open file of a driver that is gone. */
export interface OpenFile {
  readonly fh: number;
  readonly node: NodeId;
  /** Flags of open(2). */
  readonly flags: number;
  /** The IO_* of its open. */
  readonly io: number;
  /** 0 if it was opened without one. */
  readonly backingId: number;
  readonly pid: number;
  readonly request: number;
}

/** An inode of a driver that is gone. */
export interface NotedInode {
  /** Where its note is. */
  readonly place: number;
  readonly ino: Ino;
  /** True if it is looked up by its second nodeid. */
  readonly isSecond: boolean;
  readonly isUpper: boolean;
  readonly mayBeMapped: boolean;
  readonly wasUncached: boolean;
  /** The backing id that was registered last; 0 if none is. */
  readonly backingId: number;
  /** True if that is for bytes of the env's own, false if for a template's. */
  readonly isOwnBytes: boolean;
  /** The object that its first nodeid stands for; '' if there is none. */
  readonly object: string;
}

/** A request that was to be carried out by one change of the delta. */
export interface BegunRequest {
  readonly request: number;
  /** The change's number in the journal. */
  readonly sequence: number;
}

/** All that a driver left. */
export interface LeftRecords {
  readonly files: readonly OpenFile[];
  readonly inodes: readonly NotedInode[];
  readonly requests: readonly BegunRequest[];
}

/** A mount that a driver left. */
export interface LeftMount extends LeftRecords {
  /** The lower trees that the env has shown before the present one, the latest first. */
  readonly earlier: readonly LowerTree[];
}

/** Keeps records where they outlive this process. Each call is complete, or has not happened, whenever the process dies. */
export interface ResumeRecords {
  /** Notes a file, before the kernel is told that it is open. */
  opened(handle: Handle): void;
  /** Takes a file's note back, before the kernel is told that it is closed. */
  closed(fh: number): void;
  /** Notes what is to be known of an inode, if that is anything; sets its `place`. */
  noteInode(inode: Inode): void;
  /** Takes an inode's note back. */
  forgetInode(inode: Inode): void;
  /** Says that the next change of the delta, which gets this number, carries a request out. */
  begins(request: number, sequence: number): void;
  /** Takes the last begins() back: the change was not made. */
  failed(): void;
}
