import { isDirectory, type RefNode } from './node.ts';
import type { Operation, SlotOperation } from './operation.ts';
import { type Reference, refuse } from './reference.ts';
import { chmod, chown, resize, write } from './writes.ts';

export const isSlotOperation = (step: Operation): step is SlotOperation => 'slot' in step;

/** Does a step in the reference that is about an open descriptor. */
export function applyToSlot(ref: Reference, step: SlotOperation): unknown {
  switch (step.op) {
    case 'open':
    case 'openRead':
    case 'openDir': {
      ref.slots.delete(step.slot);
      const node = ref.follow(step.path);
      if (step.op === 'openDir' && !isDirectory(node)) refuse('ENOTDIR');
      if (step.op !== 'openDir' && isDirectory(node)) refuse('EISDIR');
      if (step.op === 'open') {
        ref.change(node);
        node.written = true;
      }
      return void ref.slots.set(step.slot, { node, writable: step.op === 'open' });
    }
    case 'pread':
      return fileIn(ref, step.slot).content.toString();
    case 'fstat': {
      const node = nodeIn(ref, step.slot);
      const { mode, uid, content } = node;
      return { nlink: ref.nlink(node), mode, uid, size: content.length };
    }
    case 'pwrite':
      return write(ref, writableIn(ref, step.slot, 'EBADF'), step.offset, step.text);
    case 'ftruncate':
      return resize(ref, writableIn(ref, step.slot, 'EINVAL'), step.size);
    case 'reopen':
      return write(ref, fileIn(ref, step.slot), 0, step.text);
    case 'fchmod':
      return chmod(ref, nodeIn(ref, step.slot), step.mode);
    case 'fchown':
      return chown(ref, nodeIn(ref, step.slot), step.uid, step.gid);
    case 'list': {
      const node = openDirectory(ref, step.slot);
      // One that was removed ends at once: getdents says ENOENT, and libc makes an end of it.
      return isThere(ref, node) ? [...node.entries.keys()].sort() : [];
    }
    case 'readAt': {
      const node = ref.followFrom(directoryIn(ref, step.slot), step.name);
      return isDirectory(node) ? refuse('EISDIR') : node.content.toString();
    }
    case 'mkdirAt': {
      const { parent, name, node } = ref.placeFrom(directoryIn(ref, step.slot), step.name);
      if (node) refuse('EEXIST');
      return void ref.make(parent, name, 'directory', 0o755);
    }
    case 'close':
      return ref.slots.delete(step.slot) ? null : refuse('EBADF');
  }
}

const nodeIn = (ref: Reference, slot: number): RefNode =>
  ref.slots.get(slot)?.node ?? refuse('EBADF');

function fileIn(ref: Reference, slot: number): RefNode {
  const node = nodeIn(ref, slot);
  return isDirectory(node) ? refuse('EISDIR') : node;
}

function openDirectory(ref: Reference, slot: number): RefNode {
  const node = nodeIn(ref, slot);
  return isDirectory(node) ? node : refuse('ENOTDIR');
}

/** A directory that exists: also as one of an older version. */
function directoryIn(ref: Reference, slot: number): RefNode {
  const node = openDirectory(ref, slot);
  return isThere(ref, node) ? node : refuse('ENOENT');
}

const isThere = (ref: Reference, node: RefNode): boolean => node.gone || ref.nlink(node) > 0;

function writableIn(ref: Reference, slot: number, code: string): RefNode {
  const { node, writable } = ref.slots.get(slot) ?? refuse('EBADF');
  return writable ? node : refuse(code);
}
