/** Finds the files of Debian packages in a tree: those that dpkg's lists name, and those that dpkg keeps about a package. */

import { type PackageRecord, type Packages, packagesOf, STATUS_PATH } from '../merge/packages.ts';
import type { EnvTree } from './env-tree.ts';

/** The directory in which dpkg keeps lists, scripts and checksums of packages. */
export const INFO_DIR = '/var/lib/dpkg/info';

/** Returns the packages that a tree has; none if it has no status file, or one that is too large to be read. */
export const packagesIn = (tree: EnvTree): Packages => packagesOf(tree.content(STATUS_PATH));

/** Returns the absolute paths, as binary strings, of a package's files and directories; none without a record. */
export function filesOf(tree: EnvTree, record: PackageRecord | null | undefined): string[] {
  if (record === null || record === undefined) return [];
  const list = infoContent(tree, record, 'list') ?? '';
  return list.split('\n').filter((line) => line.startsWith('/') && line !== '/.');
}

/** Returns the paths of a package's conffiles, which dpkg does not overwrite where changed; none without a record. */
export function conffilesOf(tree: EnvTree, record: PackageRecord | null): string[] {
  if (record === null) return [];
  const list = infoContent(tree, record, 'conffiles') ?? '';
  return list.split('\n').filter((line) => line.startsWith('/'));
}

/** Returns the MD5 sums of a package's files as it was shipped, in hex, by absolute path. */
export function checksumsOf(tree: EnvTree, record: PackageRecord): Map<string, string> {
  const sums = new Map<string, string>();
  for (const line of (infoContent(tree, record, 'md5sums') ?? '').split('\n')) {
    const [, sum, path] = /^([0-9a-f]{32}) [ *](.*)$/.exec(line) ?? [];
    if (sum !== undefined && path !== undefined) sums.set(`/${path}`, sum);
  }
  return sums;
}

/** Returns the path of dpkg's list of a package's files; null if there is none. */
export function listPathOf(tree: EnvTree, { name, architecture }: PackageRecord): string | null {
  const paths = [`${INFO_DIR}/${name}:${architecture}.list`, `${INFO_DIR}/${name}.list`];
  return paths.find((path) => (tree.find(path)?.record ?? null) !== null) ?? null;
}

function infoContent(tree: EnvTree, { name, architecture }: PackageRecord, what: string) {
  return (
    tree.content(`${INFO_DIR}/${name}:${architecture}.${what}`) ??
    tree.content(`${INFO_DIR}/${name}.${what}`)
  );
}

/** True if a name in dpkg's info directory belongs to this package: "NAME.list", "NAME:amd64.postinst". */
export function isInfoOf(name: string, file: string): boolean {
  if (!file.startsWith(name)) return false;
  return /^(?::[^.:]+)?\.[^.]+$/.test(file.slice(name.length));
}
