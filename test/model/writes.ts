/** What changes a file in the reference, by its path or by a descriptor. */
import { setMode } from './acl.ts';
import type { RefNode } from './node.ts';
import type { Reference } from './reference.ts';

export function write(ref: Reference, node: RefNode, offset: number, text: string): null {
  // Opening it for writing makes it the env's own.
  ref.change(node);
  node.written = true;
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

export function resize(ref: Reference, node: RefNode, size: number): null {
  ref.change(node);
  node.written = true;
  const content = Buffer.alloc(size);
  node.content.copy(content);
  node.content = content;
  node.mtimeNs = null;
  return null;
}

export function chmod(ref: Reference, node: RefNode, mode: number): null {
  ref.change(node);
  setMode(node, mode);
  return null;
}

export function chown(ref: Reference, node: RefNode, uid: number, gid: number): null {
  ref.change(node);
  node.uid = uid;
  node.gid = gid;
  if (node.kind === 'file') {
    node.mode &= ~0o4000;
    if (node.mode & 0o010) node.mode &= ~0o2000;
  }
  return null;
}
