import { aclFor, setAclOf } from './acl.ts';
import { isDirectory, type RefNode } from './node.ts';
import { type Flip, type Operation, type Outcome, SED, type SlotOperation } from './operation.ts';
import { RefError, type Reference, refuse } from './reference.ts';
import { renameInReference, replace } from './rename.ts';
import { applyToSlot, isSlotOperation } from './slots.ts';
import { chmod, chown, resize, write } from './writes.ts';

/** Does a step in the reference; errors are those of Linux, in the order in which Linux looks. */
export function applyToReference(ref: Reference, step: Operation): Outcome {
  try {
    const value = isSlotOperation(step) ? applyToSlot(ref, step) : perform(ref, step);
    return { value: value ?? null };
  } catch (error) {
    if (error instanceof RefError) return { error: error.code };
    throw error;
  }
}

/** A regular file to be opened for reading and writing. */
function regular(ref: Reference, path: string): RefNode {
  const node = ref.follow(path);
  return isDirectory(node) ? refuse('EISDIR') : node;
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

function perform(ref: Reference, step: Exclude<Operation, SlotOperation>): unknown {
  switch (step.op) {
    case 'create': {
      const { parent, name } = vacant(ref, step.path);
      return write(ref, ref.make(parent, name, 'file', 0o644), 0, step.text);
    }
    case 'write':
    case 'syncWrite':
      return write(ref, regular(ref, step.path), step.offset, step.text);
    case 'append': {
      const node = regular(ref, step.path);
      return write(ref, node, node.content.length, step.text);
    }
    case 'rewrite': {
      const node = regular(ref, step.path);
      resize(ref, node, 0);
      return write(ref, node, 0, step.text);
    }
    case 'truncate':
      return resize(ref, regular(ref, step.path), step.size);
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
      return isDirectory(node) ? [...node.entries.keys()].sort() : refuse('ENOTDIR');
    }
    case 'readlink': {
      const { node } = named(ref, step.path);
      return node.kind === 'symlink' ? node.target : refuse('EINVAL');
    }
    case 'chmod':
      return chmod(ref, ref.follow(step.path), step.mode);
    case 'chown':
      return chown(ref, named(ref, step.path).node, step.uid, step.gid);
    case 'utimes': {
      const { node } = named(ref, step.path);
      ref.change(node);
      node.mtimeNs = BigInt(step.seconds) * 1_000_000_000n + BigInt(step.nsec);
      node.set.add('atime');
      return null;
    }
    case 'setxattr': {
      const { node } = named(ref, step.path);
      if (node.kind === 'symlink' && step.name.startsWith('user.')) refuse('EPERM');
      ref.change(node);
      return void node.xattrs.set(step.name, step.value);
    }
    case 'removexattr': {
      const { node } = named(ref, step.path);
      if (node.kind === 'symlink' && step.name.startsWith('user.')) refuse('EPERM');
      if (!node.xattrs.has(step.name)) refuse('ENODATA');
      ref.change(node);
      return void node.xattrs.delete(step.name);
    }
    case 'setfacl': {
      const { node } = named(ref, step.path);
      if (node.kind !== 'file') refuse('EINVAL');
      ref.change(node);
      setAclOf(node, aclFor(node.mode, step.mask));
      node.mode = (node.mode & ~0o070) | (step.mask << 3);
      return null;
    }
    case 'sed':
      return sed(ref, step.path);
    case 'look':
    case 'dropCaches':
      return null;
    case 'remount':
    case 'kill':
      ref.slots.clear();
      return null;
    case 'flip':
      return flip(ref, step);
  }
}

function unlink(ref: Reference, path: string): null {
  const { parent, name, node } = named(ref, path);
  if (isDirectory(node)) refuse('EISDIR');
  if (ref.nlink(node) > 1) ref.change(node);
  ref.detach(parent, name);
  return null;
}

function rmdir(ref: Reference, path: string): null {
  const { parent, name, node } = named(ref, path);
  if (!isDirectory(node)) refuse('ENOTDIR');
  if (node.entries.size > 0) refuse('ENOTEMPTY');
  ref.detach(parent, name);
  return null;
}

function link(ref: Reference, path: string, to: string): null {
  const { node } = named(ref, path);
  const { parent, name } = vacant(ref, to);
  if (isDirectory(node)) refuse('EPERM');
  ref.change(node);
  ref.attach(parent, name, node);
  return null;
}

function sed(ref: Reference, path: string): null {
  const { parent, name, node } = named(ref, path);
  if (node.kind !== 'file') refuse('EINVAL');
  const made = ref.make(parent, SED, 'file', 0o644);
  write(ref, made, 0, node.content.toString());
  chown(ref, made, node.uid, node.gid);
  chmod(ref, made, node.mode);
  made.set.add('atime');
  return replace(ref, { parent, name: SED, node: made }, { parent, name, node }, made);
}

function flip(ref: Reference, { template, to, env }: Flip): null {
  const [os, app] = ref.stack;
  if (env !== 'mounted') ref.slots.clear();
  ref.flip(template === 'os' ? [to, app] : [os, to], env === 'mounted');
  return null;
}
