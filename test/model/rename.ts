import { type Place, type Reference, type RefNode, refuse } from './reference.ts';

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
  ref.attach(source.parent, source.name, b);
  ref.attach(target.parent, target.name, a);
  const directories = (node: RefNode): number => (node.kind === 'directory' ? 1 : 0);
  source.parent.nlink += directories(b) - directories(a);
  target.parent.nlink += directories(a) - directories(b);
}

function replace(ref: Reference, source: Place, target: Place, moved: RefNode): void {
  const old = target.node;
  if (old && moved.kind === 'directory' && old.kind !== 'directory') refuse('ENOTDIR');
  if (old && moved.kind !== 'directory' && old.kind === 'directory') refuse('EISDIR');
  if (old && old.entries.size > 0) refuse('ENOTEMPTY');
  if (old && old.kind !== 'directory') old.nlink--;
  if (old && old.kind === 'directory') target.parent.nlink--;
  ref.detach(source.parent, source.name);
  ref.attach(target.parent, target.name, moved);
  if (moved.kind === 'directory') {
    source.parent.nlink--;
    target.parent.nlink++;
  }
}
