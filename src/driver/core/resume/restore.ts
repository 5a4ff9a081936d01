/**
 * Goes on with the open files of a driver that is gone. The kernel knows nothing of that: it uses the same nodeids, file
 * handles and backing ids.
 *
 * How often the kernel looked an inode up is not known. All that counts on it is when the last reference goes, and the kernel
 * gives all of them back at once. So an inode that was noted, or is open, counts as looked up once until it does.
 */
import { inoOf } from '../../../base/ids.ts';
import { DATA_OBJECT, type InodeRecord } from '../../../codec/inode-record.ts';
import { type Created, type DoneBefore, IO_UNCACHED } from '../api.ts';
import type { Core } from '../core.ts';
import type { Handle } from '../handles.ts';
import type { Backing } from '../inode.ts';
import type { LeftMount, NotedInode, OpenFile } from './records.ts';

/** Restores what was left; returns the requests that were carried out, and may not have been answered. */
export function restore(core: Core, left: LeftMount): DoneBefore {
  core.inodes.goOnFrom(left.earlier);
  const noted = new Map(left.inodes.map((each) => [each.ino, each]));
  const backings = new Map<number, Backing>();
  const handles: Handle[] = [];
  for (const note of left.inodes) restoreInode(core, note, backings);
  for (const file of left.files) {
    const handle = restoreFile(core, file, backings);
    if (handle !== null) handles.push(handle);
  }
  core.handles.restore(handles);
  for (const { inode } of handles) if (!noted.has(inode.ino)) core.noteInode(inode);
  for (const note of left.inodes) settle(core, note, handles);
  for (const { id, opens } of backings.values()) if (opens === 0) core.passthrough?.release(id);
  const done = left.requests.filter(({ sequence }) => sequence <= core.delta.foundSequence);
  return new Done(handles, new Set(done.map(({ request }) => request)));
}

function restoreInode(core: Core, note: NotedInode, backings: Map<number, Backing>): void {
  const inode = core.inodes.recall(note.ino);
  if (inode === null) {
    if (note.backingId !== 0) core.passthrough?.release(note.backingId);
    return;
  }
  inode.place = note.place;
  inode.lookups = 1;
  inode.isUpper = note.isUpper;
  inode.mayBeMapped = note.mayBeMapped;
  inode.wasUncached = note.wasUncached;
  if (note.isSecond) {
    const { record } = inode;
    inode.beginSecond({
      ...record,
      data: DATA_OBJECT,
      object: note.object as InodeRecord['object'],
    });
    inode.lookups = 1;
  }
  if (note.backingId === 0) return;
  const backing = { id: note.backingId, opens: 0 };
  backings.set(backing.id, backing);
  if (note.isOwnBytes === inode.isPrivateData) inode.backing = backing;
}

function restoreFile(core: Core, file: OpenFile, backings: Map<number, Backing>): Handle | null {
  const { fh, node, flags, io, backingId, pid, request } = file;
  const inode = core.inodes.recall(inoOf(node));
  if (inode === null) return null;
  if (inode.lookups === 0) inode.lookups = 1;
  let backing: Backing | null = null;
  if (backingId !== 0) {
    backing = backings.get(backingId) ?? { id: backingId, opens: 0 };
    backings.set(backingId, backing);
    backing.opens++;
  } else {
    inode.cachedOpens++;
    if (io === IO_UNCACHED) inode.uncachedOpens++;
  }
  return { fh, io, backingId, inode, flags, pid, request, backing };
}

/** Does what the driver may have been about to do with an inode when it died. */
function settle(core: Core, note: NotedInode, handles: readonly Handle[]): void {
  const inode = core.inodes.peek(note.ino);
  if (inode === null) return;
  const readsTemplate = handles.some(
    (handle) =>
      handle.inode === inode && handle.backing !== null && handle.backing !== inode.backing,
  );
  // It has its own bytes since, and readers of the template's: see switchOver().
  if (inode.isPrivateData && !note.isOwnBytes && inode.first === null && readsTemplate) {
    const object = inode.record.object || (core.lower.inode(inode.ino)?.object ?? '');
    inode.beginSecond({ ...inode.record, data: DATA_OBJECT, object });
    inode.first!.lookups = 1;
    inode.lookups = 0;
  }
  if (inode.backing?.opens === 0) inode.backing = null;
  core.noteInode(inode);
  if (inode.mayBeMapped) void core.caches.expireAttributes(inode.node);
}

/** The requests that the driver before us carried out; the kernel sends again those that were not answered. */
class Done implements DoneBefore {
  readonly #changes: ReadonlySet<number>;
  readonly #handles: ReadonlyMap<number, Handle>;

  constructor(handles: readonly Handle[], changes: ReadonlySet<number>) {
    this.#changes = changes;
    this.#handles = new Map(handles.map((handle) => [handle.request, handle]));
  }

  /** Returns true if a change of the delta carried the request out. */
  isDone(request: number): boolean {
    return this.#changes.has(request);
  }

  /** Returns the file that the request opened, if that is still open. */
  opened(request: number): Created | null {
    const handle = this.#handles.get(request);
    return handle === undefined ? null : { ...handle, created: handle.inode };
  }
}
