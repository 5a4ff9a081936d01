import type { RefNode } from './node.ts';
import { type Place, type Reference, refuse } from './reference.ts';

const NOREPLACE = 1;
const EXCHANGE = 2;

/** renameat2 in the reference; errors in the order of Linux's do_renameat2 and vfs_rename. */
export function renameInReference(
  ref: Reference,
  path: string,
  to: string,
  flags: 0 | typeof NOREPLACE | typeof EXCHANGE,
): null {
  const source = ref.place(path);
  const target = ref.place(to);
  const moved = source.node ?? refuse('ENOENT');
  if (target.node && flags === NOREPLACE) refuse('EEXIST');
  if (!target.node && flags === EXCHANGE) refuse('ENOENT');
  if (moved !== target.node && ref.contains(moved, target.parent)) refuse('EINVAL');
  if (target.node && target.node !== moved && ref.contains(target.node, source.parent)) {
    refuse(flags === EXCHANGE ? 'EINVAL' : 'ENOTEMPTY');
  }
  if (moved === target.node) return null;
  if (flags === EXCHANGE) exchange(ref, source, target, moved, target.node!);
  else replace(ref, source, target, moved);
  return null;
}

function exchange(ref: Reference, source: Place, target: Place, a: RefNode, b: RefNode): void {
  ref.change(a);
  ref.change(b);
  ref.attach(source.parent, source.name, b);
  ref.attach(target.parent, target.name, a);
}

export function replace(ref: Reference, source: Place, target: Place, moved: RefNode): null {
  const old = target.node;
  if (old && moved.kind === 'directory' && old.kind !== 'directory') refuse('ENOTDIR');
  if (old && moved.kind !== 'directory' && old.kind === 'directory') refuse('EISDIR');
  if (old && old.entries.size > 0) refuse('ENOTEMPTY');
  if (old && ref.nlink(old) > 1) ref.change(old);
  ref.change(moved);
  ref.detach(source.parent, source.name);
  ref.attach(target.parent, target.name, moved);
  return null;
}
