import type { Operation, Outcome } from './operation.ts';
import { RefError, type Reference, type RefNode, refuse } from './reference.ts';
import { renameInReference } from './rename.ts';

/** Slots of open descriptors, as the agent has them. */
export type Slots = Map<number, { readonly node: RefNode; readonly writable: boolean }>;

/** Does a step in the reference; errors are those of Linux, in the order in which Linux looks. */
export function applyToReference(ref: Reference, slots: Slots, step: Operation): Outcome {
  try {
    return { value: perform(ref, slots, step) ?? null };
  } catch (error) {
    if (error instanceof RefError) return { error: error.code };
    throw error;
  }
}

/** A regular file to be opened for reading and writing. */
function regular(ref: Reference, path: string): RefNode {
  const node = ref.follow(path);
  return node.kind === 'directory' ? refuse('EISDIR') : node;
}

/** A name that must not be there yet. */
function vacant(ref: Reference, path: string): { parent: RefNode; name: string } {
  const { parent, name, node } = ref.place(path);
  return node ? refuse('EEXIST') : { parent, name };
}

/** What a path names, itself: a symbolic link is not followed. */
function named(ref: Reference, path: string): { parent: RefNode; name: string; node: RefNode } {
  const { parent, name, node } = ref.place(path);
  return node ? { parent, name, node } : refuse('ENOENT');
}

const slotOf = (slots: Slots, slot: number): RefNode => slots.get(slot)?.node ?? refuse('EBADF');

function writableSlot(slots: Slots, slot: number, code: string): RefNode {
  const open = slots.get(slot) ?? refuse('EBADF');
  return open.writable ? open.node : refuse(code);
}

function perform(ref: Reference, slots: Slots, step: Operation): unknown {
  switch (step.op) {
    case 'create': {
      const { parent, name } = vacant(ref, step.path);
      return write(ref.make(parent, name, 'file', 0o644), 0, step.text);
    }
    case 'write':
      return write(regular(ref, step.path), step.offset, step.text);
    case 'append': {
      const node = regular(ref, step.path);
      return write(node, node.content.length, step.text);
    }
    case 'truncate':
      return resize(regular(ref, step.path), step.size);
    case 'read':
      return regular(ref, step.path).content.toString();
    case 'mkdir': {
      const { parent, name } = vacant(ref, step.path);
      return void ref.make(parent, name, 'directory', 0o755);
    }
    case 'symlink': {
      const { parent, name } = vacant(ref, step.path);
      return void ref.make(parent, name, 'symlink', 0o777, step.target);
    }
    case 'unlink':
      return unlink(ref, step.path);
    case 'rmdir':
      return rmdir(ref, step.path);
    case 'link':
      return link(ref, step.path, step.to);
    case 'rename':
      return renameInReference(ref, step.path, step.to, step.flags);
    case 'readdir': {
      const node = ref.follow(step.path);
      return node.kind === 'directory' ? [...node.entries.keys()].sort() : refuse('ENOTDIR');
    }
    case 'readlink': {
      const { node } = named(ref, step.path);
      return node.kind === 'symlink' ? node.target : refuse('EINVAL');
    }
    case 'chmod':
      ref.follow(step.path).mode = step.mode;
      return null;
    case 'chown':
      return chown(named(ref, step.path).node, step.uid, step.gid);
    case 'utimes':
      named(ref, step.path).node.mtimeNs =
        BigInt(step.seconds) * 1_000_000_000n + BigInt(step.nsec);
      return null;
    case 'setxattr': {
      const { node } = named(ref, step.path);
      if (node.kind === 'symlink' && step.name.startsWith('user.')) refuse('EPERM');
      return void node.xattrs.set(step.name, step.value);
    }
    case 'removexattr': {
      const { node } = named(ref, step.path);
      if (node.kind === 'symlink' && step.name.startsWith('user.')) refuse('EPERM');
      return node.xattrs.delete(step.name) ? null : refuse('ENODATA');
    }
    case 'open':
    case 'openRead': {
      slots.delete(step.slot);
      const node = regular(ref, step.path);
      return void slots.set(step.slot, { node, writable: step.op === 'open' });
    }
    case 'pread':
      return slotOf(slots, step.slot).content.toString();
    case 'fstat': {
      const { nlink, mode, uid, content } = slotOf(slots, step.slot);
      return { nlink, mode, uid, size: content.length };
    }
    case 'pwrite':
      return write(writableSlot(slots, step.slot, 'EBADF'), step.offset, step.text);
    case 'ftruncate':
      return resize(writableSlot(slots, step.slot, 'EINVAL'), step.size);
    case 'close':
      return slots.delete(step.slot) ? null : refuse('EBADF');
    case 'remount':
    case 'kill':
      slots.clear();
      return null;
  }
}

function write(node: RefNode, offset: number, text: string): null {
  const bytes = Buffer.from(text);
  if (bytes.length === 0) return null;
  const size = Math.max(node.content.length, offset + bytes.length);
  const content = Buffer.alloc(size);
  node.content.copy(content);
  bytes.copy(content, offset);
  node.content = content;
  node.mtimeNs = null;
  return null;
}

function resize(node: RefNode, size: number): null {
  const content = Buffer.alloc(size);
  node.content.copy(content);
  node.content = content;
  node.mtimeNs = null;
  return null;
}

function chown(node: RefNode, uid: number, gid: number): null {
  node.uid = uid;
  node.gid = gid;
  if (node.kind === 'file') {
    node.mode &= ~0o4000;
    if (node.mode & 0o010) node.mode &= ~0o2000;
  }
  return null;
}

function unlink(ref: Reference, path: string): null {
  const { parent, name, node } = named(ref, path);
  if (node.kind === 'directory') refuse('EISDIR');
  node.nlink--;
  ref.detach(parent, name);
  return null;
}

function rmdir(ref: Reference, path: string): null {
  const { parent, name, node } = named(ref, path);
  if (node.kind !== 'directory') refuse('ENOTDIR');
  if (node.entries.size > 0) refuse('ENOTEMPTY');
  parent.nlink--;
  ref.detach(parent, name);
  return null;
}

function link(ref: Reference, path: string, to: string): null {
  const { node } = named(ref, path);
  const { parent, name } = vacant(ref, to);
  if (node.kind === 'directory') refuse('EPERM');
  node.nlink++;
  ref.attach(parent, name, node);
  return null;
}
