import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { getXattr, listXattrs } from '../syscalls/index.ts';
import { shownXattrs } from './acl.ts';
import type { RefNode } from './node.ts';
import type { Reference } from './reference.ts';

/** All that stat, read, readlink and getxattr say of one name. */
export interface NameSnapshot {
  readonly path: string;
  readonly kind: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Of files: size and SHA-256; of links: the target; of directories: nothing. */
  readonly content: string;
  readonly xattrs: readonly string[];
  /** Nanoseconds, as text; '' where not known. */
  readonly mtimeNs: string;
  /** The first path that names the same inode. */
  readonly sameAs: string;
  readonly ino: number;
}

const describeBytes = (bytes: Buffer): string =>
  `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;

/** What is below `dir`, in order of paths. */
export function snapshot(dir: string): NameSnapshot[] {
  const firstOf = new Map<number, string>();
  const all: NameSnapshot[] = [];
  const visit = (prefix: string): void => {
    for (const name of fs.readdirSync(path.join(dir, prefix)).sort()) {
      const relative = prefix + name;
      all.push(describeName(dir, relative, firstOf));
      if (all.at(-1)!.kind === 'directory') visit(`${relative}/`);
    }
  };
  visit('');
  return all;
}

function describeName(dir: string, relative: string, firstOf: Map<number, string>): NameSnapshot {
  const file = path.join(dir, relative);
  const stat = fs.lstatSync(file);
  const kind = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file';
  if (!firstOf.has(stat.ino)) firstOf.set(stat.ino, relative);
  const contents = {
    directory: () => '',
    symlink: () => fs.readlinkSync(file),
    file: () => describeBytes(fs.readFileSync(file)),
  };
  return {
    path: relative,
    kind,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    nlink: stat.nlink,
    content: contents[kind](),
    xattrs: listXattrs(file).map((name) => `${name}=${getXattr(file, name).toString()}`),
    mtimeNs: String(fs.lstatSync(file, { bigint: true }).mtimeNs),
    sameAs: firstOf.get(stat.ino)!,
    ino: stat.ino,
  };
}

/** Inode numbers by node: one for good. */
export type Inos = Map<RefNode, number>;

/** The reference's side of the comparison; times and new inode numbers, which it does not know, are taken from the other. */
export function snapshotOf(
  ref: Reference,
  real: readonly NameSnapshot[],
  inos: Inos,
): NameSnapshot[] {
  const realOf = new Map(real.map((name) => [name.path, name]));
  const firstOf = new Map<RefNode, string>();
  const all: NameSnapshot[] = [];
  ref.visit((node, relative) => {
    if (!firstOf.has(node)) firstOf.set(node, relative);
    const seen = realOf.get(relative);
    if (seen !== undefined && !inos.has(node)) inos.set(node, seen.ino);
    const contents = {
      directory: () => '',
      symlink: () => node.target,
      file: () => describeBytes(node.content),
    };
    all.push({
      path: relative,
      kind: node.kind,
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      nlink: ref.nlink(node),
      content: contents[node.kind](),
      xattrs: shownXattrs(node),
      mtimeNs: node.mtimeNs === null ? (seen?.mtimeNs ?? '') : String(node.mtimeNs),
      sameAs: firstOf.get(node)!,
      ino: inos.get(node) ?? -1,
    });
  });
  return all;
}
