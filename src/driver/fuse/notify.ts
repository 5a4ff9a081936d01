import { native } from '../../native/binding.ts';
import type { DirEntryRef, Stale } from '../core/ports.ts';
import { NOTIFY, OUT, OUT_BYTES } from './wire.ts';

const INVAL_INODE_BYTES = 24;
const INVAL_ENTRY_BYTES = 16;
const PRUNE_BYTES = 16;
const NODE_BYTES = 8;
const TWO_32 = 2 ** 32;
/**
 * A name that no directory entry has. Invalidating it changes nothing, but takes the directory's lock as for any
 * name, and so waits until running lookups and listings there have ended.
 */
const NO_NAME = '.';

/**
 * The bytes before the messages of one descriptor, which say the descriptor and a length: see
 * Native.writeBatchesAsync.
 */
const BATCH_HEADER = 8;
/** The most bytes written in one go; what comes meanwhile waits for the next. */
const GO_BYTES = 2 ** 18;

interface Batch {
  readonly bytes: Buffer;
  readonly written: () => void;
}

/**
 * Notifications that wait to be written, one go at a time for the whole process, off the request thread. An
 * invalidation waits in the kernel for locks that a waiting request may hold. On the request thread it would never
 * end; and several at once could take the whole thread pool, which those requests need to be answered. A go takes
 * everything that waits, for whichever mount: a hop to the thread pool costs more than many messages.
 */
let waiting: Batch[] = [];
let going = false;

async function go(): Promise<void> {
  going = true;
  while (waiting.length > 0) {
    const batches: Batch[] = [];
    for (let bytes = 0; waiting.length > batches.length && bytes < GO_BYTES; ) {
      const next = waiting[batches.length]!;
      batches.push(next);
      bytes += next.bytes.length;
    }
    waiting = waiting.slice(batches.length);
    const all = Buffer.concat(batches.map(({ bytes }) => bytes));
    await native.writeBatchesAsync(all, all.length);
    for (const { written } of batches) written();
  }
  going = false;
}

/** Tells the kernel what changed behind its back. Errors are ignored: what the kernel does not know is not stale. */
export class Notifier {
  private readonly devFd: number;
  private closed = false;
  private last: Promise<unknown> = Promise.resolve();

  constructor(devFd: number) {
    this.devFd = devFd;
  }

  /** Implements KernelCaches.drop: resolves when the kernel has nothing stale left. */
  drop({ names, dirs, inodes, files = [] }: Stale): Promise<void> {
    const messages = names.map(messageOf);
    // A lookup in the parent that ends after the directory itself was invalidated would bring attributes that are
    // kept; and so would a running listing.
    for (const parent of new Set(dirs.map((dir) => dir.parent))) {
      messages.push(entryMessage(parent, NO_NAME));
    }
    for (const { ino } of dirs) messages.push(entryMessage(ino, NO_NAME), inodeMessage(ino, 0));
    for (const ino of inodes) messages.push(inodeMessage(ino, -1n));
    for (const node of files) messages.push(inodeMessage(node, 0));
    return messages.length === 0 ? Promise.resolve() : this.send(messages);
  }

  /**
   * Invalidates only an inode's attributes. The kernel takes no lock for that, so the message does not wait in
   * line: what is blocked there may wait for the very request that waits for this.
   */
  async expireAttributes(node: number): Promise<void> {
    if (this.closed) return;
    const message = inodeMessage(node, -1n);
    const sent = native.writeDeviceAsync(this.devFd, message, message.length);
    this.last = Promise.all([this.last, sent]);
    await sent;
  }

  /**
   * Implements KernelCaches.forget. Does not wait in line either, for the same reason as expireAttributes(). Linux
   * before 6.18 does not know this message.
   */
  async forget(nodes: readonly number[]): Promise<void> {
    if (this.closed) return;
    const message = pruneMessage(nodes);
    const sent = native.writeDeviceAsync(this.devFd, message, message.length);
    this.last = Promise.all([this.last, sent]);
    await sent;
  }

  /** Sends nothing more. Resolves when nothing is being written and the descriptor may be closed. */
  async close(): Promise<void> {
    this.closed = true;
    await this.last;
  }

  private send(messages: readonly Buffer[]): Promise<void> {
    if (this.closed) return Promise.resolve();
    const header = Buffer.alloc(BATCH_HEADER);
    header.writeInt32LE(this.devFd, 0);
    const bytes = Buffer.concat([header, ...messages]);
    bytes.writeUInt32LE(bytes.length - BATCH_HEADER, 4);
    const sent = new Promise<void>((written) => waiting.push({ bytes, written }));
    this.last = Promise.all([this.last, sent]);
    if (!going) void go();
    return sent;
  }
}

/**
 * Asks for all requests that another driver read but did not answer, at once, and has names looked up again: what that driver
 * had to tell of them may not have been told. To be called before any request is read. Needs Granted.resend.
 */
export function askAgain(devFd: number): void {
  for (const code of [NOTIFY.RESEND, NOTIFY.INC_EPOCH]) {
    const message = notification(code, 0);
    native.writeDevice(devFd, message, message.length);
  }
}

/** Messages of names that are sent repeatedly: to each mount that makes the same flip. */
const entryMessages = new WeakMap<DirEntryRef, Buffer>();

function messageOf(place: DirEntryRef): Buffer {
  const known = entryMessages.get(place);
  if (known !== undefined) return known;
  const message = entryMessage(place.dir, place.name);
  entryMessages.set(place, message);
  return message;
}

/** Returns a zeroed message with its header: unique 0, and the code where a reply has its error. */
function notification(code: number, bodyBytes: number): Buffer {
  const message = Buffer.alloc(OUT_BYTES + bodyBytes);
  message.writeUInt32LE(message.length, OUT.len * 4);
  message.writeInt32LE(code, OUT.error * 4);
  return message;
}

/** Returns a message that invalidates an inode's attributes, and its pages from `offset` on; -1 for no pages. */
function inodeMessage(node: number, offset: 0 | -1n): Buffer {
  const message = notification(NOTIFY.INVAL_INODE, INVAL_INODE_BYTES);
  putBig(message, OUT_BYTES, node);
  message.writeBigInt64LE(BigInt(offset), OUT_BYTES + 8);
  return message;
}

/** Returns a message that lists inodes to forget if nothing uses them. */
function pruneMessage(nodes: readonly number[]): Buffer {
  const message = notification(NOTIFY.PRUNE, PRUNE_BYTES + nodes.length * NODE_BYTES);
  message.writeUInt32LE(nodes.length, OUT_BYTES);
  nodes.forEach((node, i) => {
    putBig(message, OUT_BYTES + PRUNE_BYTES + i * NODE_BYTES, node);
  });
  return message;
}

/** Returns a message that invalidates one name of a directory. `name` is latin1, as everywhere. */
function entryMessage(parent: number, name: string): Buffer {
  const message = notification(NOTIFY.INVAL_ENTRY, INVAL_ENTRY_BYTES + name.length + 1);
  putBig(message, OUT_BYTES, parent);
  message.writeUInt32LE(name.length, OUT_BYTES + 8);
  message.write(name, OUT_BYTES + INVAL_ENTRY_BYTES, 'latin1');
  return message;
}

function putBig(message: Buffer, at: number, value: number): void {
  message.writeUInt32LE(value >>> 0, at);
  message.writeUInt32LE(Math.floor(value / TWO_32) >>> 0, at + 4);
}
